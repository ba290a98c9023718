"""Planners of nnU-Net that know what SGDC costs; installed as nnunet_sgdc.planners."""
