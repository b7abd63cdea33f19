// The CPU kernels of this operator; see contract.h.
#include "attention_pair_bias/contract.h"
