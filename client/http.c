#include "client/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIBRARY "libcurl.so.4"

/* What we use of it: result, name, arguments. */
#define CURL_FUNCTIONS(X)                                                                          \
    X(CURLcode, global_init, (long))                                                               \
    X(CURL *, easy_init, (void))                                                                   \
    X(CURLcode, easy_setopt, (CURL *, CURLoption, ...))                                            \
    X(CURLcode, easy_perform, (CURL *))                                                            \
    X(CURLcode, easy_getinfo, (CURL *, CURLINFO, ...))                                             \
    X(const char *, easy_strerror, (CURLcode))                                                     \
    X(void, easy_cleanup, (CURL *))                                                                \
    X(struct curl_slist *, slist_append, (struct curl_slist *, const char *))                      \
    X(void, slist_free_all, (struct curl_slist *))

struct library {
    void *so;
#define X(result, name, arguments) result(*name) arguments;
    CURL_FUNCTIONS(X)
#undef X
};

struct transfer {
    const struct library *lib;
    const struct http_post *ask;
    CURL *curl;
    struct curl_slist *headers;
    struct buf *reply;
    bool full; /* more came than it may hold */
    char why[CURL_ERROR_SIZE];
};

static int library_open(struct library *lib, struct err *e)
{
    lib->so = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (lib->so == NULL)
        return err_set(e, ERR_LOCAL, "time stamps need %s (Debian: apt install libcurl4)", LIBRARY);
#define X(result, name, arguments)                                                                 \
    *(void **)&lib->name = dlsym(lib->so, "curl_" #name);                                          \
    if (lib->name == NULL)                                                                         \
        return err_set(e, ERR_LOCAL, "%s has no curl_%s", LIBRARY, #name);
    CURL_FUNCTIONS(X)
#undef X
    return lib->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
               ? 0
               : err_set(e, ERR_LOCAL, "%s cannot be used", LIBRARY);
}

static size_t reply_add(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;

    t->full = buf_add(t->reply, p, size * n) < 0;
    return t->full ? 0 : size * n;
}

static bool header_add(struct transfer *t, const char *line)
{
    struct curl_slist *more = t->lib->slist_append(t->headers, line);

    if (more != NULL)
        t->headers = more;
    return more != NULL;
}

static int transfer_prepare(struct transfer *t, struct err *e)
{
    const struct library *l = t->lib;
    const char *cas = getenv("SSL_CERT_FILE");
    char type[128];
    CURLcode rc = CURLE_OK;

    snprintf(type, sizeof type, "Content-Type: %s", t->ask->type);
    t->curl = l->easy_init();
    if (t->curl == NULL || !header_add(t, type) || !header_add(t, "Expect:"))
        return err_set(e, ERR_LOCAL, "no memory");
#define SET(option, value)                                                                         \
    if (rc == CURLE_OK)                                                                            \
    rc = l->easy_setopt(t->curl, option, value)
    SET(CURLOPT_ERRORBUFFER, t->why);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_URL, t->ask->url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "countersign");
    SET(CURLOPT_TIMEOUT, (long)t->ask->timeout_s);
    SET(CURLOPT_HTTPHEADER, t->headers);
    SET(CURLOPT_POSTFIELDSIZE, (long)t->ask->body.n);
    SET(CURLOPT_POSTFIELDS, (const char *)t->ask->body.p);
    SET(CURLOPT_WRITEFUNCTION, reply_add);
    SET(CURLOPT_WRITEDATA, t);
    if (cas != NULL && cas[0] != '\0') {
        SET(CURLOPT_CAINFO, cas);
    }
#undef SET
    return rc == CURLE_OK ? 0 : err_set(e, ERR_LOCAL, "libcurl: %s", l->easy_strerror(rc));
}

static int transfer_run(struct transfer *t, struct err *e)
{
    CURLcode rc = t->lib->easy_perform(t->curl);
    long status = 0;

    if (t->full)
        return err_set(e, ERR_LIMIT, "%s answers with more than %zu bytes", t->ask->url,
                       t->reply->max);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return err_set(e, ERR_UNAVAILABLE, "%s does not answer within %u s: try again later",
                       t->ask->url, t->ask->timeout_s);
    if (rc != CURLE_OK)
        return err_set(e, ERR_UNAVAILABLE, "%s: %s", t->ask->url,
                       t->why[0] != '\0' ? t->why : t->lib->easy_strerror(rc));
    (void)t->lib->easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 ? 0
                         : err_set(e, ERR_UNAVAILABLE,
                                   "%s answers with HTTP status %ld: is it the "
                                   "address of a time-stamp authority?",
                                   t->ask->url, status);
}

int http_post(const struct http_post *ask, struct buf *reply, struct err *e)
{
    struct library lib = {.so = NULL};
    struct transfer t = {.lib = &lib, .ask = ask, .reply = reply};
    int rc = -1;

    if (strncasecmp(ask->url, "http://", 7) != 0 && strncasecmp(ask->url, "https://", 8) != 0)
        return err_set(e, ERR_USAGE, "\"%s\" is no URL of http:// or https://", ask->url);
    if (library_open(&lib, e) == 0) {
        rc = transfer_prepare(&t, e) < 0 ? -1 : transfer_run(&t, e);
        if (t.curl != NULL)
            lib.easy_cleanup(t.curl);
        lib.slist_free_all(t.headers);
    }
    return rc; /* the library stays: it does not like to be unloaded */
}
