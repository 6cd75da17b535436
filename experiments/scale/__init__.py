"""What a run of very many architectures costs, part by part."""
