/* Any bytes, given to an end of `classic`: the first says which role it has and whether its key is
 * from a file. It may refuse them or be established, which proves nothing here; it may not crash or
 * hang, and opens no text whose key the input cannot have. */
#define FUZZ_KIND LINK_CLASSIC
#include "tests/fuzz/fuzz_link.h"

static size_t opened(struct link *l)
{
    struct link_event ev;
    size_t n = 0;

    while (link_next(l, &ev)) {
        n += ev.kind == LINK_MESSAGE ? ev.message.n : 0;
        fuzz_need(ev.kind != LINK_STEP || ev.step.number <= ev.step.total);
        fuzz_need(ev.kind != LINK_FAILED || link_error(l)->code != ERR_NONE);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct aes_key key = {{'f', 'u', 'z', 'z'}};
    struct fuzz_world *w = fuzz_world();
    enum role role = size > 0 && (data[0] & 1) != 0 ? ROLE_RELAY : ROLE_CLIENT;
    bool file = size > 0 && (data[0] & 2) != 0;
    struct link_conf conf = role == ROLE_RELAY ? w->relay : w->client;
    struct err e = {0};

    conf.file_key = file ? &key : NULL;
    if (file)
        conf.ready = NULL;
    struct link *l = link_new(role, &conf, &e);
    fuzz_need(l != NULL);
    int r = size > 1 ? link_feed(l, data + 1, size - 1) : 0;
    fuzz_need((r < 0) == (link_error(l)->code != ERR_NONE));
    fuzz_need(opened(l) == 0 || file);
    (void)!link_eof(l);
    (void)fuzz_events(l);
    link_free(l);
    return 0;
}
