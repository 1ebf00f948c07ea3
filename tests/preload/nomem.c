/* nomem -- preloaded into a program under test: its memory runs out at a chosen moment.
 *
 *     NOMEM_AT=n     the nth allocation of the process fails (1 is the first; none without it)
 *     NOMEM_FOR=k    ... and so do those behind it, k in all (1)
 *     NOMEM_COUNT=f  at the end the number of allocations is written into the file f
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own, by the names that nobody preloads over. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static atomic_ulong calls;
static unsigned long at, until;

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

__attribute__((constructor)) static void begin(void)
{
    at = number("NOMEM_AT", 0);
    until = at + number("NOMEM_FOR", 1);
    atomic_store(&calls, 0);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("NOMEM_COUNT");
    char text[32];
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    int n = snprintf(text, sizeof text, "%lu\n", atomic_load(&calls));
    if (write(fd, text, (size_t)n) != n)
        _exit(99);
    close(fd);
}

static int denied(void)
{
    unsigned long n = atomic_fetch_add(&calls, 1) + 1;

    if (n < at || n >= until)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t n)
{
    return denied() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return denied() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return denied() ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    return denied() ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    void *p = denied() ? NULL : __libc_memalign(align, n);

    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}
