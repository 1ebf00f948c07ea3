/* Any bytes, given to a client: it may refuse them; it may not crash, hang, or be established. */
#include "tests/fuzz/fuzz_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world *w = fuzz_world();
    struct err e = {0};
    struct link *l = link_new(ROLE_CLIENT, &w->client, &e);

    fuzz_need(l != NULL);
    int r = link_feed(l, data, size);
    fuzz_need((r < 0) == (link_error(l)->code != ERR_NONE));
    fuzz_need(!fuzz_events(l));
    fuzz_need(link_eof(l) < 0);
    link_free(l);
    return 0;
}
