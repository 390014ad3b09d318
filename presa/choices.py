"""The algorithms by name, and Table 4 as presets; an algorithm is imported only when it is used, so that help texts appear
quickly."""

from __future__ import annotations

from typing import Any

ALGORITHMS: dict[str, str] = {
    "presa": "presa.algorithms.presa:Presa",
    "preference": "presa.algorithms.preference:Preference",
    "safety": "presa.algorithms.safety:Safety",
    "binary-alignment": "presa.algorithms.binary_alignment:BinaryAlignment",
    "bc-safe-seg": "presa.algorithms.cloning:BCSafeSeg",
    "unified-comparison": "presa.algorithms.unified_comparison:UnifiedComparison",
    "weighted-bc": "presa.algorithms.weighted_bc.weighted_bc:WeightedBC",
    "trac-feedback": "presa.algorithms.trac:TracFeedback",
    "caps-feedback": "presa.algorithms.caps:CapsFeedback",
    "bc-all": "presa.algorithms.cloning:BCAll",
    "bc-safe": "presa.algorithms.cloning:BCSafe",
    "trac": "presa.algorithms.trac:Trac",
    "cdt": "presa.algorithms.cdt.cdt:CDT",
    "safe-rlhf-cdt": "presa.algorithms.safe_rlhf.safe_rlhf:SafeRLHF",
    "safe-rlhf-cdt-binary": "presa.algorithms.safe_rlhf.safe_rlhf:SafeRLHFBinary",
}

# an anchor to the data, after cloning at a falling rate on normalised observations: what the presets that have it share
ANCHORED: dict[str, Any] = {
    "steps": 9_000,
    "bc_steps": 5_000,
    "normalize_observations": True,
    "bc_learning_rate": 1e-3,
    "bc_schedule": "linear",
    "rate_after_bc": "flat",
    "eta": 1.0,
    "anchor": 3.0,
}

# Table 4 of arXiv 2512.20173, and "anchored", a PreSa whose multiplier is fixed and which is held to the data
# (cards/table2.md); "reachable" is the same with a free multiplier and a bound that was reached before; an algorithm uses
# the lines it has a setting for.
PRESETS: dict[str, dict[str, Any]] = {
    "paper-bullet": {
        "steps": 100_000,
        "bc_steps": 30_000,
        "batch_size": 32,
        "hidden": (256, 256),
        "dropout": 0.1,
        "learning_rate": 1e-4,
        "alpha": 0.2,
        "beta": 1.0,
        "discount": 1.0,
        "eta": 0.1,
        "delta": 0.95,
        "nu_learning_rate": 0.005,
    },
    "paper-safetygym": {
        "steps": 200_000,
        "bc_steps": 60_000,
        "batch_size": 96,
        "hidden": (256, 256),
        "dropout": 0.25,
        "learning_rate": 1e-4,
        "alpha": 0.2,
        "beta": 0.2,
        "discount": 1.0,
        "eta": 2.0,
        "delta": 0.9,
        "nu_learning_rate": 0.0005,
    },
    "anchored": {
        **ANCHORED,
        "nu_initial": 2.0,
        "nu_learning_rate": 0.0,
    },
    "reachable": {
        **ANCHORED,
        "delta_steps": 1_000,
    },
}
