// What the CPU libraries say about themselves.
#include "common/abi.h"

#ifndef STRUCTDIFF_SOURCE_HASH
#define STRUCTDIFF_SOURCE_HASH "unknown"
#endif

int64_t structdiff_abi_version(void) { return STRUCTDIFF_ABI_VERSION; }

const char* structdiff_source_hash(void) { return STRUCTDIFF_SOURCE_HASH; }

int32_t structdiff_cpu_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? 4 : v3 ? 3 : 2;
#else
  return 0;
#endif
}
