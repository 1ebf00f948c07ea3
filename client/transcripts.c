#include "client/transcripts.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "certs/file.h"
#include "common/chat/judge.h"

enum { SAME_SECOND_MAX = 1000, STAMP_MAX = 64 };

static void stamp_put(char out[STAMP_MAX], int64_t now)
{
    time_t s = (time_t)(now / 1000);
    struct tm tm;

    if (gmtime_r(&s, &tm) == NULL || strftime(out, STAMP_MAX, "%Y%m%d_%H%M%S", &tm) == 0)
        snprintf(out, STAMP_MAX, "%lld", (long long)s);
}

static int file_path(char out[PROFILE_PATH_MAX], const struct profile *p, const char *name,
                     const char *end, struct err *e)
{
    char file[RECEIPT_NAME_MAX + 64];

    snprintf(file, sizeof file, "transcripts/transcript_%s.%s", name, end);
    return profile_path(p, file, out, e);
}

/* The first one of that second that is free. */
static int name_draw(char name[RECEIPT_NAME_MAX + 1], const struct profile *p, int64_t now,
                     struct err *e)
{
    char stamp[STAMP_MAX], text[PROFILE_PATH_MAX], receipt[PROFILE_PATH_MAX];

    stamp_put(stamp, now);
    snprintf(name, RECEIPT_NAME_MAX + 1, "%s", stamp);
    for (unsigned nth = 2;; nth++) {
        if (file_path(text, p, name, "txt", e) < 0 || file_path(receipt, p, name, "receipt", e) < 0)
            return -1;
        if (!file_exists(text) && !file_exists(receipt))
            return 0;
        if (nth > SAME_SECOND_MAX)
            return err_set(e, ERR_LIMIT, "too many transcripts of one second");
        snprintf(name, RECEIPT_NAME_MAX + 1, "%s_%u", stamp, nth);
    }
}

/* Nothing is left behind that the judges refuse. */
static int check(const struct profile *p, struct span flat, struct span bundle, struct err *e)
{
    const struct span root = span_of(p->root, p->root_n);
    const struct belief belief = {.roots = &root, .roots_n = 1, .flat = flat};
    struct verdict v;
    int rc = 0;

    judge_bundle(bundle, &belief, &v);
    if (!v.consistent)
        rc = err_set(e, ERR_DATA, "it would not be valid: %s: %s", v.where, v.why.text);
    verdict_free(&v);
    return rc;
}

int transcripts_write(const struct profile *p, int64_t now, const struct engine_sealed *what,
                      char text[PROFILE_PATH_MAX], struct err *e)
{
    char dir[PROFILE_PATH_MAX], receipt[PROFILE_PATH_MAX], name[RECEIPT_NAME_MAX + 1];

    if (check(p, what->flat, what->bundle, e) < 0 || profile_path(p, "transcripts", dir, e) < 0 ||
        dir_make(dir, e) < 0 || name_draw(name, p, now, e) < 0 ||
        file_path(text, p, name, "txt", e) < 0 || file_path(receipt, p, name, "receipt", e) < 0)
        return -1;
    if (file_create(text, FILE_SECRET, what->flat, e) < 0)
        return -1;
    if (file_create(receipt, FILE_SECRET, what->bundle, e) < 0) {
        (void)unlink(text); /* it proves nothing alone */
        return -1;
    }
    memcpy(what->name, name, sizeof name);
    return 0;
}

int transcripts_renew(const struct profile *p, const struct engine_sealed *what,
                      char text[PROFILE_PATH_MAX], struct err *e)
{
    char receipt[PROFILE_PATH_MAX];

    if (file_path(text, p, what->name, "txt", e) < 0 ||
        file_path(receipt, p, what->name, "receipt", e) < 0)
        return -1;
    if (!file_exists(receipt) || !file_exists(text))
        return 0;
    return check(p, what->flat, what->bundle, e) < 0 ||
                   file_replace(receipt, FILE_SECRET, what->bundle, e) < 0
               ? -1
               : 1;
}

int evidence_write(const struct profile *p, const char *path, struct span bundle, struct err *e)
{
    return check(p, span_of(NULL, 0), bundle, e) < 0 ||
                   file_create(path, FILE_SECRET, bundle, e) < 0
               ? -1
               : 0;
}

int contradiction_write(const struct profile *p, const struct room_id *room, struct span bundle,
                        char path[PROFILE_PATH_MAX], struct err *e)
{
    char dir[PROFILE_PATH_MAX], hex[2 * ROOM_ID_LEN + 1], name[2 * ROOM_ID_LEN + 64];

    hex_put(hex, span_of(room->b, sizeof room->b));
    snprintf(name, sizeof name, "contradictions/contradiction_%s.tar", hex);
    if (profile_path(p, "contradictions", dir, e) < 0 || dir_make(dir, e) < 0 ||
        profile_path(p, name, path, e) < 0)
        return -1;
    return file_exists(path) ? 0 : evidence_write(p, path, bundle, e);
}
