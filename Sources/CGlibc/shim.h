#include <malloc.h>
#include <linux/capability.h>

// In glibc, and declared in the headers of another library alone.
int capget(cap_user_header_t header, cap_user_data_t data);
int capset(cap_user_header_t header, const cap_user_data_t data);
