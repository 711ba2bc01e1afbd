// The border to libarchive: its two headers, nothing of ours. Only Archives imports it.
#include <archive.h>
#include <archive_entry.h>
