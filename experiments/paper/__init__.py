"""The tables and figures of Serianni & Kalita (ACL 2023), recomputed: ``python -m experiments.paper [STEP ...]``.

Each step is resumable (its evaluations are in ``runs/paper``) and writes what is committed under ``results``: numbers,
figures, versions and machine. ``report`` collects them in ``results/report.md``.
"""
