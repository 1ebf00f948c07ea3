/* countersign stamp, and --tsa of export: the authority is asked here, and what it says judged by
 * common/crypto/stamp.h before it is in any file. */
#include "client/stamp.h"

#include <stdio.h>
#include <string.h>

#include "certs/file.h"
#include "client/http.h"
#include "client/print.h"
#include "common/chat/judge.h"
#include "common/crypto/pem.h"
#include "common/util/time.h"

enum { STAMP_WAIT_S = 30 }; /* --timeout when nothing is said */

int stamp_wanted(const struct call *c, struct err *e)
{
    if (c->tsa != NULL && c->tsa_ca == NULL)
        return err_set(e, ERR_USAGE,
                       "--tsa wants --tsa-ca FILE too: the root certificate of that authority");
    if (c->tsa == NULL && c->tsa_ca != NULL)
        return err_set(e, ERR_USAGE, "--tsa-ca belongs to --tsa URL");
    return 0;
}

/* --- the authority --- */

static int authority_ask(const struct call *c, struct stamp_ask *ask, struct buf *reply,
                         struct err *e)
{
    const struct rng rng = rng_system();
    uint8_t nonce[STAMP_NONCE_LEN], request[STAMP_REQUEST_MAX];
    struct time_stamp stamp;

    if (rng_fill(&rng, nonce, sizeof nonce) < 0)
        return err_set(e, ERR_LOCAL, "no random numbers");
    ask->nonce = nonce;
    const struct http_post post = {
        .url = c->tsa,
        .type = "application/timestamp-query",
        .body = span_of(request, stamp_request(request, &ask->data, nonce)),
        .timeout_s = c->timeout_s == 0 ? STAMP_WAIT_S : c->timeout_s,
    };
    if (http_post(&post, reply, e) < 0)
        return -1;
    return stamp_check(buf_span(reply), ask, &stamp, e) < 0 ? err_in(e, "%s", c->tsa) : 0;
}

/* What of a bundle is stamped, and where the stamp goes. */
static struct span *place(struct bundle *b, struct span *data)
{
    switch (b->kind) {
    case BUNDLE_MESSAGES: *data = b->checkpoint_sig; return &b->checkpoint_tsr;
    case BUNDLE_SESSION: *data = b->receipt_p7s; return &b->receipt_tsr;
    case BUNDLE_CONTRADICTION:
    case BUNDLE_AUDIT:
    case BUNDLE_KIND_COUNT: break;
    }
    return NULL;
}

static int bundle_stamp(const struct call *c, struct bundle *b, struct span root, struct buf *out,
                        struct err *e)
{
    struct stamp_ask ask = {.root = root};
    struct span data, *at = place(b, &data);
    struct buf reply;

    if (at == NULL)
        return err_set(e, ERR_INPUT, "only messages and sessions get a time stamp");
    if (at->n > 0)
        return err_set(e, ERR_INPUT, "it has a time stamp already");
    sha256(data, &ask.data);
    buf_init(&reply, TSR_MAX);
    int rc = authority_ask(c, &ask, &reply, e);
    if (rc == 0) {
        *at = buf_span(&reply);
        rc = bundle_put(out, b, e);
    }
    buf_free(&reply);
    return rc;
}

int stamp_archive(const struct call *c, struct span archive, struct buf *out, struct err *e)
{
    char where[BUNDLE_WHERE];
    struct bundle b = {.kind = BUNDLE_MESSAGES};
    struct buf root;

    buf_init(&root, CERT_MAX);
    int rc = der_read("--tsa-ca", c->tsa_ca, PEM_CERT, &root, e);
    if (rc == 0 && (rc = bundle_take(&b, archive, where, e)) < 0)
        (void)err_in(e, "%s", where);
    if (rc == 0)
        rc = bundle_stamp(c, &b, buf_span(&root), out, e);
    bundle_free(&b);
    buf_free(&root);
    return rc < 0 ? err_in(e, "no time stamp, and nothing was written") : 0;
}

/* --- countersign stamp --- */

/* Nothing is stamped that the judges refuse. */
static int consistent(struct span archive, struct err *e)
{
    struct verdict v;
    int rc = 0;

    judge_bundle(archive, &(struct belief){0}, &v);
    if (!v.consistent)
        rc = err_set(e, ERR_DATA, "it is not valid: %s: %s", v.where, v.why.text);
    verdict_free(&v);
    return rc;
}

static int report(const struct call *c, struct err *e)
{
    struct clean file = {0};
    struct row row;

    if (!c->json) {
        print_line("%s: with a time stamp", clean(&file, c->output));
        clean_free(&file);
        return print_flush(e);
    }
    row_begin(&row, "stamped");
    row_text(&row, "file", c->output);
    return row_end(&row, e);
}

int command_stamp(struct call *c, struct err *e)
{
    struct buf archive, out;

    if (c->args_n != 1 || c->tsa == NULL || c->output == NULL)
        return err_set(e, ERR_USAGE,
                       "usage: countersign stamp FILE --tsa URL --tsa-ca FILE -o FILE");
    if (stamp_wanted(c, e) < 0)
        return -1;
    buf_init(&archive, BUNDLE_MAX);
    buf_init(&out, BUNDLE_MAX);
    int rc = file_read(c->args[0], FILE_PUBLIC, &archive, e) < 0 ||
                     consistent(buf_span(&archive), e) < 0 ||
                     stamp_archive(c, buf_span(&archive), &out, e) < 0 ||
                     file_create(c->output, FILE_SECRET, buf_span(&out), e) < 0
                 ? -1
                 : report(c, e);
    buf_free(&archive);
    buf_free(&out);
    return rc;
}
