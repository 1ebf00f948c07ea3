#include "tests/unit/server/support_receipt.h"

#include "common/evidence/transcript.h"
#include "common/evidence/tree.h"

/* head(number), and the tree's root up to there. */
static struct hash head_of(struct client *c, const struct room_id *room, uint64_t number,
                           struct hash *root)
{
    struct hash head = {{0}};
    struct tree t = {0};

    while (t.size < number) {
        client_say(
            c, F_HISTORY_ASK,
            &(struct f_history_ask){
                .id = 9, .room = *room, .has_after = true, .after = t.size, .count = HISTORY_MAX});
        const struct f_history *h = &client_got(c, F_HISTORY)->u.history;
        size_t before = t.size;
        for (size_t i = 0; i < h->entries_n && h->entries[i].number <= number; i++) {
            struct hash leaf;
            transcript_leaf(&leaf, h->entries[i].line, h->entries[i].time);
            tree_add(&t, &leaf, NULL);
            entry_head_next(&head, h->entries[i].line, h->entries[i].time);
        }
        if (t.size == before)
            break; /* there are not so many, or they begin later */
    }
    if (root != NULL)
        *root = tree_head(&t).root;
    return head;
}

struct receipt receipt_honest(const struct room_id *room, struct client *c, uint64_t first,
                              uint64_t last)
{
    struct receipt x = {.link = "tls",
                        .suite = "unknown",
                        .signer = c->fp,
                        .peer = {{9}},
                        .created = c->r->now,
                        .first = first,
                        .last = last,
                        .base = head_of(c, room, first - 1, NULL)};

    account_session(x.session, &c->exporter);
    memcpy(x.room, room->b, sizeof x.room);
    x.tree.size = last;
    x.head = head_of(c, room, last, &x.tree.root);
    return x;
}

struct receipt_seal receipt_own_seal(const struct receipt *x)
{
    return (struct receipt_seal){RECEIPT_CLIENT, x->signer, x->created};
}

void asked_make(struct asked *q, uint64_t id, struct client *c, const struct receipt *x,
                const struct receipt_seal *seal)
{
    struct receipt_signed all;
    size_t n = receipt_put(q->text, x), seal_n = receipt_seal_put(q->seal, seal), sig_n;
    struct err e = {0};

    assert_int_equal(receipt_signed_make(&all, str_from(q->text, n), str_from(q->seal, seal_n)), 0);
    assert_int_equal(
        pkey_sign_pss(c->r->keys[c->key], &c->r->rng, span_of(all.b, all.n), q->sig, &sig_n, &e),
        0);
    q->f =
        (struct f_seal){id, span_of(q->text, n), span_of(q->seal, seal_n), span_of(q->sig, sig_n)};
}
