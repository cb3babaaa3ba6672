#include <cblas.h>

// LAPACK, included in OpenBLAS; its C header is in a separate package.
void ssyev_(
  const char *job, const char *triangle, const blasint *n, float *a, const blasint *stride,
  float *eigenvalues, float *work, const blasint *workSize, blasint *info);
