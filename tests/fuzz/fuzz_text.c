/* Cleaned text is UTF-8 without a single control byte; names that are accepted have both keys. */
#include <stdlib.h>
#include <string.h>

#include "common/chat/name.h"
#include "common/util/text.h"
#include "tests/fuzz/fuzz.h"

static void clean(const uint8_t *data, size_t size)
{
    size_t cap = TEXT_CLEAN_GROWS * size + 1, sum = 0, n;
    char *out = malloc(cap);

    if (out == NULL)
        return;
    struct str s = str_from(out, text_clean(out, cap, str_from(data, size), TEXT_ONE_LINE));
    if (!text_utf8_ok(s))
        abort();
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            abort();
    }
    for (struct str rest = s; (n = text_cluster(rest, NULL)) > 0; sum += n)
        rest = str_from(rest.p + n, rest.n - n);
    if (sum != s.n || text_fit(s, text_width(s)) != s.n)
        abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char key[NAME_KEY_MAX], folded[NAME_KEY_MAX];
    struct str s = str_from(data, size);
    struct err e = {0};

    if (size > 64 * 1024)
        return 0;
    clean(data, size);
    if (name_check(s, NAME_ROOM, &e) < 0) {
        (void)!name_skeleton(key, s);
        return 0;
    }
    if (name_canonical(key, s) < 0 || name_canonical(folded, str_of(key)) < 0 ||
        strcmp(key, folded) != 0 || name_skeleton(key, s) < 0 || key[0] == '\0')
        abort();
    return 0;
}
