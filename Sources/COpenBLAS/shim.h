#include <cblas.h>

// LAPACK, which OpenBLAS brings along; its C header is a package of its own.
void ssyev_(
  const char *job, const char *triangle, const blasint *n, float *a, const blasint *stride,
  float *eigenvalues, float *work, const blasint *workSize, blasint *info);
