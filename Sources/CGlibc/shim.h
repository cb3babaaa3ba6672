#include <malloc.h>
#include <sys/types.h>

// Declared by fcntl.h for those alone who ask for all of GNU's extensions, which Swift's overlay does not.
extern int sync_file_range(int descriptor, off_t offset, off_t count, unsigned int flags);
static const unsigned int STRATA_SYNC_FILE_RANGE_WRITE = 2;
