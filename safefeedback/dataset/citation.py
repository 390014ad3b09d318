"""The citations in every card: the paper, and this software."""

from __future__ import annotations

PRESA_CITATION = """@inproceedings{gong2026presa,
  title     = {Offline Safe Policy Optimization From Heterogeneous Feedback},
  author    = {Gong, Ze and Varakantham, Pradeep and Kumar, Akshat},
  booktitle = {Proceedings of the 25th International Conference on Autonomous Agents and Multiagent Systems},
  year      = {2026},
  note      = {arXiv:2512.20173}
}"""
SOFTWARE_CITATION = """@software{safefeedback,
  title   = {safefeedback: safe preference feedback over offline safe-RL data, and presa, its trainer},
  author  = {{The safefeedback authors}},
  year    = {2026},
  license = {Apache-2.0}
}"""
CITATIONS = f"{PRESA_CITATION}\n\n{SOFTWARE_CITATION}"
