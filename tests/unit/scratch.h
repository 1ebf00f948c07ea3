/* scratch.h -- where the files of a test go: below TMPDIR, which `make check` lays into memory
 * where there is plenty, since SQLite waits for the disk at every commit. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stdlib.h>
#include <string.h>

enum { SCRATCH_MAX = 24 };

static inline const char *scratch_place(void)
{
    const char *place = getenv("TMPDIR");

    return place != NULL && place[0] == '/' && strlen(place) <= SCRATCH_MAX ? place : "/tmp";
}

#endif
