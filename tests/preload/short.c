/* short -- preloaded into a program under test: every third transfer takes half of what was asked,
 * as a kernel may. What it says was moved has been moved. (An eventfd has eight bytes or none, and
 * the few bytes by which libuv tells of a signal go through a pipe whole, as POSIX has it.) */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static size_t some(size_t n)
{
    static atomic_uint calls;

    return n > 8 && atomic_fetch_add(&calls, 1) % 3 == 0 ? n / 2 : n;
}

static size_t some_of(int fd, size_t n)
{
    struct stat s;

    return fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode) ? n : some(n);
}

ssize_t read(int fd, void *p, size_t n)
{
    return syscall(SYS_read, fd, p, some_of(fd, n));
}

ssize_t write(int fd, const void *p, size_t n)
{
    return syscall(SYS_write, fd, p, some_of(fd, n));
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    return syscall(SYS_recvfrom, fd, p, some(n), flags, NULL, NULL);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    return syscall(SYS_sendto, fd, p, some(n), flags, NULL, 0);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    return n > 0 ? write(fd, v[0].iov_base, v[0].iov_len) : syscall(SYS_writev, fd, v, n);
}

ssize_t pread64(int fd, void *p, size_t n, off64_t at)
{
    return syscall(SYS_pread64, fd, p, some(n), at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return syscall(SYS_pwrite64, fd, p, some(n), at);
}
