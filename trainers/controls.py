"""The controls of SGDC: trainers that leave out or replace one part of it, for comparisons.

| trainer                           | SGE | boundary loss | in the place of SGDC                          |
|-----------------------------------|-----|---------------|-----------------------------------------------|
| nnUNetTrainer (nnU-Net's own)     | no  | no            | nothing                                       |
| nnUNetTrainerBoundary             | yes | yes           | nothing                                       |
| nnUNetTrainerSGDCNoBoundaryLoss   | yes | no            | SGDC                                          |
| nnUNetTrainerPooledDynamicConv    | no  | no            | kernels and gates from average-pooled context |
| nnUNetTrainerStaticConv           | no  | no            | bottlenecks with the parameters of SGDC       |
| nnUNetTrainerStaticConvEqualFLOPs | no  | no            | bottlenecks with the multiplications of SGDC  |
| nnUNetTrainerSGDC                 | yes | yes           | SGDC                                          |

On plans that hold options of SGDC they take these options, and only the block is theirs.
"""

from dataclasses import replace

from nnunet_sgdc.trainers.sgdc import nnUNetTrainerSGDC


class nnUNetTrainerSGDCNoBoundaryLoss(nnUNetTrainerSGDC):
    """SGDC whose guidance is not supervised with boundaries: what does the supervision do?"""

    boundary = replace(nnUNetTrainerSGDC.boundary, weight=0.0)


class nnUNetTrainerBoundary(nnUNetTrainerSGDC):
    """SGE and its boundary loss alone: is it the supervision, whatever is done with the guidance?"""

    sgdc = replace(nnUNetTrainerSGDC.sgdc, block="none")


class nnUNetTrainerPooledDynamicConv(nnUNetTrainerSGDC):
    """The same dynamic convolution from average-pooled context: is it the dynamic kernels, whoever guides them?"""

    sgdc = replace(nnUNetTrainerSGDC.sgdc, block="pooled_dynamic_conv")


class nnUNetTrainerStaticConv(nnUNetTrainerSGDC):
    """Ordinary residual bottlenecks with as many parameters as the SGDC blocks: is it the size of the network?"""

    sgdc = replace(nnUNetTrainerSGDC.sgdc, block="static_conv")


class nnUNetTrainerStaticConvEqualFLOPs(nnUNetTrainerSGDC):
    """Ordinary residual bottlenecks with as many multiplications as the SGDC blocks: is it the computing?"""

    sgdc = replace(nnUNetTrainerSGDC.sgdc, block="static_conv_equal_flops")
