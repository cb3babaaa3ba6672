#include <malloc.h>
#include <linux/capability.h>

// Part of glibc, but declared only in the headers of another library.
int capget(cap_user_header_t header, cap_user_data_t data);
int capset(cap_user_header_t header, const cap_user_data_t data);
