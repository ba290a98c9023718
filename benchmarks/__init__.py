"""Speed and memory, side by side with the plain formulation and with stock nnU-Net."""
