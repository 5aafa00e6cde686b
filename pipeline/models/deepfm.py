"""DeepFM (Guo et al. 2017)."""

from torch import Tensor

from pipeline.models.fm import FM
from pipeline.models.lookup import Lookup
from pipeline.models.mlp import MLP, layers_dtype
from schemas.config import MLPConfig


class DeepFM(FM):
    """logit = FM(rows) + MLP(v_1, ..., v_F)   (Guo et al. 2017, eq. 1), of which both parts share the rows."""

    def __init__(self, num_fields: int, dimension: int, mlp: MLPConfig, seed: int) -> None:
        super().__init__()
        self.mlp = MLP(num_fields * dimension, mlp, seed)

    def forward(self, lookup: Lookup) -> Tensor:
        """-> logits [B]"""
        v_BFK = lookup.cells(layers_dtype(lookup.rows_UD), first=1)
        deep_B: Tensor = self.mlp(v_BFK.flatten(start_dim=1))
        return super().forward(lookup) + deep_B
