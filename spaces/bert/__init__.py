"""The FlexiBERT subset of BERT encoders: configurations, their readings, counts, sampler and search space.

The torch module is in ``spaces.bert.module``; nothing imported here needs torch or optuna.
"""

from spaces.bert.config import BertConfig, Layer, parse_config
from spaces.bert.counts import count
from spaces.bert.readings import READINGS, EncoderPlan, LayerPlan, plan
from spaces.bert.sampler import published_sample
from spaces.bert.space import BertSpace

__all__ = [
    "READINGS",
    "BertConfig",
    "BertSpace",
    "EncoderPlan",
    "Layer",
    "LayerPlan",
    "count",
    "parse_config",
    "plan",
    "published_sample",
]
