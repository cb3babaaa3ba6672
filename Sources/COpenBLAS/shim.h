#include <cblas.h>
#include <stddef.h>

// LAPACK, included in OpenBLAS; its C header is in a separate package.
void ssyev_(
  const char *job, const char *triangle, const blasint *n, float *a, const blasint *stride,
  float *eigenvalues, float *work, const blasint *workSize, blasint *info);

// The last arguments are the lengths of the strings, as Fortran compilers pass them.
void dsyevd_(
  const char *job, const char *triangle, const blasint *n, double *a, const blasint *stride,
  double *eigenvalues, double *work, const blasint *workSize, blasint *integers,
  const blasint *integersSize, blasint *info, size_t jobLength, size_t triangleLength);
void dpotrf_(
  const char *triangle, const blasint *n, double *a, const blasint *stride, blasint *info,
  size_t triangleLength);
void dpotri_(
  const char *triangle, const blasint *n, double *a, const blasint *stride, blasint *info,
  size_t triangleLength);
void dgeqrf_(
  const blasint *rows, const blasint *columns, double *a, const blasint *stride, double *factors,
  double *work, const blasint *workSize, blasint *info);
void dorgqr_(
  const blasint *rows, const blasint *columns, const blasint *reflectors, double *a, const blasint *stride,
  const double *factors, double *work, const blasint *workSize, blasint *info);
