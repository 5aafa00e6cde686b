"""What is served of a model's outputs: one answer of all its members, in the label's own unit."""

from math import log

from torch import Tensor, nn

from pipeline.data.target import CLICKS, Target


def served(logits: Tensor, target: Target = CLICKS) -> Tensor:
    """What a model serves; of a lone one the logits themselves, or the number that they stand for.

    binary      [M, B] or [B] -> [B]           log-odds of the mean of the members' probabilities
    multiclass  [M, B, C] or [B, C] -> [B, C]  logarithms of the means of the members' probabilities
    regression  [M, B] or [B] -> [B]           the members' mean, times the target's scale, plus its shift
    """
    match target.objective:
        case "binary":
            return logits if logits.ndim == 1 else _log_odds_of_mean(logits)
        case "multiclass":
            if logits.ndim == 2:
                return logits
            return nn.functional.log_softmax(logits, dim=2).logsumexp(dim=0) - log(len(logits))
        case "regression":
            mean_B = logits if logits.ndim == 1 else logits.mean(dim=0)
            return mean_B * target.scale + target.shift


def _log_odds_of_mean(logits_MB: Tensor) -> Tensor:
    log_sigmoid = nn.functional.logsigmoid
    return log_sigmoid(logits_MB).logsumexp(dim=0) - log_sigmoid(-logits_MB).logsumexp(dim=0)
