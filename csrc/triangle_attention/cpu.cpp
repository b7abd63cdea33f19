// The CPU kernels of this operator; see contract.h.
#include "triangle_attention/contract.h"
