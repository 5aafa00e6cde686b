"""DeepFM (Guo et al. 2017)."""

from torch import Tensor

from pipeline.embedding.lookup import Lookup
from pipeline.models.fm import FM
from pipeline.models.members import nets
from pipeline.models.mlp import layers_dtype
from schemas.stage import MLPConfig


class DeepFM(FM):
    """logit = FM(rows) + MLP(v_1, ..., v_F)   (Guo et al. 2017, eq. 1), of which both parts share the rows.

    Of several members each has an MLP, and all have the one FM.
    """

    def __init__(
        self, num_fields: int, dimension: int, mlp: MLPConfig, seed: int, members: int = 1, outputs: int = 1
    ) -> None:
        super().__init__(dimension, seed, outputs)
        self.mlp = nets(num_fields * dimension, mlp, seed, members, outputs)

    def inputs(self, lookup: Lookup) -> Tensor:
        """What the layers read of each row. [B, F K]"""
        return lookup.cells(layers_dtype(lookup.rows_UD), first=1).flatten(start_dim=1)

    def forward(self, lookup: Lookup) -> Tensor:
        """-> logits [B], or of each member [M, B]; of classes [B, C], [M, B, C]"""
        if lookup.groups is None:  # without a gradient both parts take the same cells
            cells_BFD = lookup.cells()
            deep: Tensor = self.mlp(cells_BFD[:, :, 1:].flatten(start_dim=1))
            return self.of_cells(cells_BFD) + deep
        deep = self.mlp(self.inputs(lookup))
        return super().forward(lookup) + deep
