"""How the project's own benchmark was made: the pilot that chose its protocol, and the tables themselves."""
