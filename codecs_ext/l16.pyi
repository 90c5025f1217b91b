from codecs_ext.codec import Kernel

__all__ = ["L16_8K", "L16_16K"]

L16_8K: Kernel
L16_16K: Kernel
