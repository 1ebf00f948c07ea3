/* support_disk.h -- disks that can lose power: a SQLite VFS whose files live in memory.
 *
 * What is written stays in a list until xSync; when the power fails, each unsynced sector of 512
 * bytes is kept, lost or filled with garbage as the disk's own dice fall. A disk holds one database
 * with its journals and is known by the path of the database; at that path lies a real file of the
 * same length, because stores look at it. From the cut on every operation fails until disk_reboot.
 * disk_vfs makes this SQLite's default VFS for the whole process. */
#ifndef TESTS_UNIT_SIM_SUPPORT_DISK_H
#define TESTS_UNIT_SIM_SUPPORT_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct disk;

void disk_vfs(void);                                    /* once; ends the process on failure */
struct disk *disk_new(const char *path, uint64_t seed); /* NULL: too many */
void disk_free(struct disk *d);                         /* its connections are closed */
void disk_fuse(struct disk *d, uint64_t ops);           /* power fails in the ops-th from now */
void disk_cut(struct disk *d);                          /* now */
bool disk_dead(const struct disk *d);
void disk_reboot(struct disk *d);          /* after its connections were closed */
void disk_lies(struct disk *d, bool lies); /* xSync does nothing */
uint64_t disk_ops(const struct disk *d);   /* writes, truncations and syncs so far */
uint64_t disk_torn(const struct disk *d);  /* sectors lost or spoilt so far */

/* splitmix64: the dice of all tests here. */
struct dice {
    uint64_t s;
};
uint64_t dice_u64(struct dice *d);
uint64_t dice_below(struct dice *d, uint64_t n); /* 0 .. n-1 */
bool dice_one_in(struct dice *d, uint64_t n);

#endif
