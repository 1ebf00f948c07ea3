/* memory.h -- has the allocations of our own code fail at a given one (F5). For a program whose
 * malloc, calloc and realloc are stood in front of (Makefile: wrapped_...); include it once. */
#ifndef TESTS_UNIT_MEMORY_H
#define TESTS_UNIT_MEMORY_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

static unsigned long left = ULONG_MAX; /* allocations that still succeed */
static bool once;                      /* then one fails, else all */
static unsigned long asked;            /* allocations so far */
static bool missed;                    /* one failed since memory_for */

static bool denied(void)
{
    asked++;
    if (left == ULONG_MAX || left-- > 0)
        return false;
    left = once ? ULONG_MAX : 0;
    errno = ENOMEM;
    return missed = true;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
    return denied() ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return denied() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
    return denied() ? NULL : __real_realloc(p, n);
}

/* The try of that number: after half as many allocations one fails, or all that follow. */
static void memory_for(unsigned long try)
{
    left = try / 2;
    once = try % 2 != 0;
    missed = false;
}

static void memory_back(void)
{
    left = ULONG_MAX;
}

#endif
