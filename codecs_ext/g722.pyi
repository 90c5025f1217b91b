from codecs_ext.codec import Kernel

__all__ = ["G722"]

G722: Kernel
