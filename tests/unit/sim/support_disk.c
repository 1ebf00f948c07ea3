#include "support_disk.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DISKS = 32, FILES = 4, SECTOR = 512, SHM_REGIONS = 64, NO_FUSE = -1 };

/* --- dice --- */

uint64_t dice_u64(struct dice *d)
{
    uint64_t z = d->s += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t dice_below(struct dice *d, uint64_t n)
{
    return dice_u64(d) % n;
}

bool dice_one_in(struct dice *d, uint64_t n)
{
    return dice_below(d, n) == 0;
}

/* --- files --- */

struct bytes {
    uint8_t *p;
    size_t n, cap;
};

struct op { /* not on the platter yet; data NULL: truncated to off */
    struct op *next;
    uint64_t off;
    size_t n;
    uint8_t *data;
};

struct file {
    struct disk *d; /* NULL: a temporary one of SQLite's */
    char name[160];
    bool there;
    struct bytes now, safe; /* what is read; what survives */
    struct op *ops, **tail;
    unsigned shared; /* connections with at least SHARED */
    void *writer;    /* who has more than that */
    int level;
    uint8_t *shm[SHM_REGIONS];
    unsigned shm_shared[SQLITE_SHM_NLOCK];
    void *shm_owner[SQLITE_SHM_NLOCK];
    unsigned shm_users;
};

struct disk {
    char path[128];
    struct file files[FILES];
    struct dice dice;
    int64_t fuse;
    bool dead, lies;
    uint64_t count, torn;
};

struct conn { /* SQLite's handle */
    sqlite3_file base;
    struct file *f;
    int level;
};

static struct disk *disks[DISKS];

static void need(bool good)
{
    if (good)
        return;
    fputs("support_disk: no memory, or no place\n", stderr);
    abort();
}

static void bytes_size(struct bytes *b, size_t n)
{
    if (n > b->cap) {
        b->cap = n + n / 2 + 4096;
        b->p = realloc(b->p, b->cap);
        need(b->p != NULL);
    }
    if (n > b->n)
        memset(b->p + b->n, 0, n - b->n);
    b->n = n;
}

static void bytes_write(struct bytes *b, uint64_t off, const void *p, size_t n)
{
    if (off + n > b->n)
        bytes_size(b, (size_t)off + n);
    if (n > 0)
        memcpy(b->p + off, p, n);
}

static void ops_drop(struct file *f)
{
    for (struct op *o = f->ops, *next; o != NULL; o = next) {
        next = o->next;
        free(o->data);
        free(o);
    }
    f->ops = NULL;
    f->tail = &f->ops;
}

static void op_add(struct file *f, uint64_t off, const void *data, size_t n)
{
    struct op *o = calloc(1, sizeof *o);

    need(o != NULL);
    o->off = off;
    o->n = n;
    if (data != NULL) {
        o->data = malloc(n);
        need(o->data != NULL);
        memcpy(o->data, data, n);
    }
    *f->tail = o;
    f->tail = &o->next;
}

static void op_apply(struct file *f, const struct op *o)
{
    if (o->data != NULL)
        bytes_write(&f->safe, o->off, o->data, o->n);
    else
        bytes_size(&f->safe, (size_t)o->off);
}

static void file_mirror(const struct file *f)
{
    if (f->d != NULL && strcmp(f->name, f->d->path) == 0)
        need(truncate(f->name, (off_t)f->safe.n) == 0 || access(f->name, F_OK) != 0);
}

static void file_flush(struct file *f)
{
    for (const struct op *o = f->ops; o != NULL; o = o->next)
        op_apply(f, o);
    ops_drop(f);
    file_mirror(f);
}

static void file_clear(struct file *f)
{
    ops_drop(f);
    free(f->now.p);
    free(f->safe.p);
    for (int i = 0; i < SHM_REGIONS; i++)
        free(f->shm[i]);
    *f = (struct file){.d = f->d};
    f->tail = &f->ops;
}

/* --- the cut --- */

/* How one cut treats what was not synced. */
enum mood { LOSE_ALL, KEEP_ALL, KEEP_PREFIX, KEEP_SOME, MOODS };

static void op_tear(struct file *f, const struct op *o, struct disk *d)
{
    for (size_t at = 0; at < o->n;) {
        size_t n = SECTOR - (size_t)((o->off + at) % SECTOR);
        uint8_t noise[SECTOR];
        uint64_t fate = dice_below(&d->dice, 8);

        if (n > o->n - at)
            n = o->n - at;
        memset(noise, (int)dice_below(&d->dice, 256), n);
        if (fate >= 4)
            bytes_write(&f->safe, o->off + at, o->data + at, n);
        else if (fate == 0)
            bytes_write(&f->safe, o->off + at, noise, n);
        d->torn += fate < 4;
        at += n;
    }
}

static void file_tear(struct file *f, struct disk *d, enum mood mood)
{
    size_t ops = 0, keep = 0;

    for (const struct op *o = f->ops; o != NULL; o = o->next)
        ops++;
    if (mood == KEEP_ALL)
        keep = ops;
    if (mood == KEEP_PREFIX)
        keep = (size_t)dice_below(&d->dice, ops + 1);
    for (const struct op *o = f->ops; o != NULL; o = o->next) {
        if (keep > 0)
            op_apply(f, o);
        else if (mood == LOSE_ALL)
            d->torn++;
        else if (o->data != NULL)
            op_tear(f, o, d);
        else if (dice_one_in(&d->dice, 2))
            op_apply(f, o);
        keep -= keep > 0;
        if (keep == 0 && mood == KEEP_PREFIX) { /* the next is torn, what follows is lost */
            if (o->next != NULL && o->next->data != NULL)
                op_tear(f, o->next, d);
            break;
        }
    }
}

void disk_cut(struct disk *d)
{
    d->dead = true;
}

bool disk_dead(const struct disk *d)
{
    return d->dead;
}

void disk_fuse(struct disk *d, uint64_t ops)
{
    d->fuse = (int64_t)ops;
}

void disk_lies(struct disk *d, bool lies)
{
    d->lies = lies;
}

uint64_t disk_ops(const struct disk *d)
{
    return d->count;
}

uint64_t disk_torn(const struct disk *d)
{
    return d->torn;
}

void disk_reboot(struct disk *d)
{
    enum mood mood = (enum mood)dice_below(&d->dice, MOODS);

    for (int i = 0; i < FILES; i++) {
        struct file *f = d->files + i;
        if (!f->there)
            continue;
        file_tear(f, d, mood);
        ops_drop(f);
        f->now.n = 0;
        bytes_write(&f->now, 0, f->safe.n > 0 ? f->safe.p : (const uint8_t *)"", f->safe.n);
        file_mirror(f);
    }
    d->dead = false;
    d->fuse = NO_FUSE;
}

/* True: the power is gone, before or within this operation. */
static bool tick(struct file *f)
{
    struct disk *d = f->d;

    if (d == NULL)
        return false;
    d->count++;
    if (!d->dead && d->fuse != NO_FUSE && --d->fuse <= 0)
        d->dead = true;
    return d->dead;
}

static bool dead(const struct file *f)
{
    return f->d != NULL && f->d->dead;
}

struct disk *disk_new(const char *path, uint64_t seed)
{
    struct disk *d = calloc(1, sizeof *d);

    need(d != NULL && strlen(path) < sizeof d->path);
    strcpy(d->path, path);
    d->dice.s = seed;
    d->fuse = NO_FUSE;
    for (int i = 0; i < FILES; i++) {
        d->files[i].d = d;
        d->files[i].tail = &d->files[i].ops;
    }
    for (int i = 0; i < DISKS; i++)
        if (disks[i] == NULL) {
            disks[i] = d;
            (void)unlink(path);
            return d;
        }
    free(d);
    return NULL;
}

void disk_free(struct disk *d)
{
    if (d == NULL)
        return;
    for (int i = 0; i < FILES; i++)
        file_clear(d->files + i);
    for (int i = 0; i < DISKS; i++)
        if (disks[i] == d)
            disks[i] = NULL;
    (void)unlink(d->path);
    free(d);
}

/* --- SQLite's side: files --- */

static struct file *file_of(sqlite3_file *h)
{
    return ((struct conn *)(void *)h)->f;
}

static int x_unlock(sqlite3_file *h, int level)
{
    struct conn *c = (struct conn *)(void *)h;
    struct file *f = c->f;

    if (level < SQLITE_LOCK_RESERVED && f->writer == c)
        f->writer = NULL;
    if (level == SQLITE_LOCK_NONE && c->level >= SQLITE_LOCK_SHARED)
        f->shared--;
    if (c->level > level)
        c->level = level;
    return SQLITE_OK;
}

static int x_lock(sqlite3_file *h, int level)
{
    struct conn *c = (struct conn *)(void *)h;
    struct file *f = c->f;

    if (c->level >= level)
        return SQLITE_OK;
    if (f->writer != NULL && f->writer != c &&
        (level > SQLITE_LOCK_SHARED || f->level > SQLITE_LOCK_RESERVED))
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_EXCLUSIVE && f->shared > 1)
        return SQLITE_BUSY;
    if (c->level < SQLITE_LOCK_SHARED)
        f->shared++;
    if (level > SQLITE_LOCK_SHARED) {
        f->writer = c;
        f->level = level;
    }
    c->level = level;
    return SQLITE_OK;
}

static int x_reserved(sqlite3_file *h, int *out)
{
    *out = file_of(h)->writer != NULL;
    return SQLITE_OK;
}

static int x_close(sqlite3_file *h)
{
    struct file *f = file_of(h);

    (void)x_unlock(h, SQLITE_LOCK_NONE);
    if (f->d == NULL) {
        file_clear(f);
        free(f);
    }
    return SQLITE_OK;
}

static int x_read(sqlite3_file *h, void *out, int n, sqlite3_int64 off)
{
    struct file *f = file_of(h);
    size_t have = (size_t)off < f->now.n ? f->now.n - (size_t)off : 0;

    if (dead(f))
        return SQLITE_IOERR_READ;
    if (have > (size_t)n)
        have = (size_t)n;
    if (have > 0)
        memcpy(out, f->now.p + off, have);
    memset((uint8_t *)out + have, 0, (size_t)n - have);
    return have == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int x_write(sqlite3_file *h, const void *p, int n, sqlite3_int64 off)
{
    struct file *f = file_of(h);
    bool was = dead(f), now = tick(f);

    if (!was && f->d != NULL)
        op_add(f, (uint64_t)off, p, (size_t)n);
    if (now)
        return SQLITE_IOERR_WRITE;
    bytes_write(&f->now, (uint64_t)off, p, (size_t)n);
    return SQLITE_OK;
}

static int x_truncate(sqlite3_file *h, sqlite3_int64 n)
{
    struct file *f = file_of(h);
    bool was = dead(f), now = tick(f);

    if (!was && f->d != NULL)
        op_add(f, (uint64_t)n, NULL, 0);
    if (now)
        return SQLITE_IOERR_TRUNCATE;
    bytes_size(&f->now, (size_t)n);
    return SQLITE_OK;
}

static int x_sync(sqlite3_file *h, int flags)
{
    struct file *f = file_of(h);

    (void)flags;
    if (tick(f))
        return SQLITE_IOERR_FSYNC;
    if (f->d != NULL && !f->d->lies)
        file_flush(f);
    return SQLITE_OK;
}

static int x_size(sqlite3_file *h, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)file_of(h)->now.n;
    return dead(file_of(h)) ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int x_control(sqlite3_file *h, int op, void *arg)
{
    (void)h;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int x_sector(sqlite3_file *h)
{
    (void)h;
    return 4096;
}

static int x_traits(sqlite3_file *h)
{
    (void)h;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* --- shared memory: gone with the power --- */

static int x_shm_map(sqlite3_file *h, int region, int size, int extend, void volatile **out)
{
    struct file *f = file_of(h);

    *out = NULL;
    need(region < SHM_REGIONS);
    if (dead(f))
        return SQLITE_IOERR_SHMMAP;
    if (f->shm[region] == NULL && extend) {
        f->shm[region] = calloc(1, (size_t)size);
        need(f->shm[region] != NULL);
    }
    *out = f->shm[region];
    return SQLITE_OK;
}

static int x_shm_lock(sqlite3_file *h, int at, int n, int flags)
{
    struct file *f = file_of(h);

    for (int i = at; i < at + n; i++) {
        if ((flags & SQLITE_SHM_UNLOCK) != 0)
            continue;
        if (f->shm_owner[i] != NULL && f->shm_owner[i] != h)
            return SQLITE_BUSY;
        if ((flags & SQLITE_SHM_EXCLUSIVE) != 0 && f->shm_shared[i] > 0)
            return SQLITE_BUSY;
    }
    for (int i = at; i < at + n; i++) {
        if ((flags & SQLITE_SHM_EXCLUSIVE) != 0)
            f->shm_owner[i] = (flags & SQLITE_SHM_UNLOCK) != 0 ? NULL : h;
        else
            f->shm_shared[i] += (flags & SQLITE_SHM_UNLOCK) != 0 ? UINT32_MAX : 1;
    }
    return SQLITE_OK;
}

static void x_shm_barrier(sqlite3_file *h)
{
    (void)h;
}

static int x_shm_unmap(sqlite3_file *h, int drop)
{
    struct file *f = file_of(h);

    if (f->shared > 1 && !drop)
        return SQLITE_OK;
    for (int i = 0; i < SHM_REGIONS; i++) {
        free(f->shm[i]);
        f->shm[i] = NULL;
    }
    memset(f->shm_shared, 0, sizeof f->shm_shared);
    memset(f->shm_owner, 0, sizeof f->shm_owner);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_reserved,
    .xFileControl = x_control,
    .xSectorSize = x_sector,
    .xDeviceCharacteristics = x_traits,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

/* --- names --- */

static struct disk *disk_of(const char *name)
{
    for (int i = 0; i < DISKS; i++) {
        size_t n = disks[i] == NULL ? 0 : strlen(disks[i]->path);
        if (n > 0 && strncmp(name, disks[i]->path, n) == 0 && (name[n] == '\0' || name[n] == '-'))
            return disks[i];
    }
    return NULL;
}

static struct file *file_named(const char *name, bool make)
{
    struct disk *d = disk_of(name);

    for (int i = 0; d != NULL && i < FILES; i++)
        if (d->files[i].there && strcmp(d->files[i].name, name) == 0)
            return d->files + i;
    for (int i = 0; make && d != NULL && i < FILES; i++)
        if (!d->files[i].there) {
            snprintf(d->files[i].name, sizeof d->files[i].name, "%s", name);
            d->files[i].there = true;
            return d->files + i;
        }
    return NULL;
}

static int x_open(sqlite3_vfs *v, const char *name, sqlite3_file *h, int flags, int *out)
{
    struct conn *c = (struct conn *)(void *)h;
    bool main_db = (flags & SQLITE_OPEN_MAIN_DB) != 0; /* its real file was made by the store */

    (void)v;
    memset(c, 0, sizeof *c);
    if (name == NULL) {
        c->f = calloc(1, sizeof *c->f);
        need(c->f != NULL);
        c->f->tail = &c->f->ops;
    } else {
        c->f = file_named(name, main_db || (flags & SQLITE_OPEN_CREATE) != 0);
    }
    if (c->f == NULL || dead(c->f))
        return SQLITE_CANTOPEN;
    c->base.pMethods = &methods;
    if (out != NULL)
        *out = flags;
    return SQLITE_OK;
}

/* A removal is on the disk at once: SQLite asks for the directory to be synced where it matters. */
static int x_delete(sqlite3_vfs *v, const char *name, int sync)
{
    struct file *f = file_named(name, false);

    (void)v;
    (void)sync;
    if (f == NULL)
        return SQLITE_IOERR_DELETE_NOENT;
    if (tick(f))
        return SQLITE_IOERR_DELETE;
    file_clear(f);
    return SQLITE_OK;
}

static int x_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
    (void)v;
    (void)flags;
    *out = file_named(name, false) != NULL;
    return SQLITE_OK;
}

static int x_full(sqlite3_vfs *v, const char *name, int n, char *out)
{
    (void)v;
    sqlite3_snprintf(n, out, "%s", name);
    return SQLITE_OK;
}

static int x_random(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    memset(out, 7, (size_t)n);
    return n;
}

static int x_sleep(sqlite3_vfs *v, int us)
{
    (void)v;
    return us;
}

static int x_time(sqlite3_vfs *v, double *out)
{
    (void)v;
    *out = 2460000.5;
    return SQLITE_OK;
}

static int x_error(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    if (n > 0)
        out[0] = '\0';
    return 0;
}

void disk_vfs(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 1,
        .szOsFile = sizeof(struct conn),
        .mxPathname = 150,
        .zName = "countersign-power",
        .xOpen = x_open,
        .xDelete = x_delete,
        .xAccess = x_access,
        .xFullPathname = x_full,
        .xRandomness = x_random,
        .xSleep = x_sleep,
        .xCurrentTime = x_time,
        .xGetLastError = x_error,
    };

    need(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}
