/* conf.h -- every option of countersignd, from one table: file, command line, defaults, --help. */
#ifndef SERVER_CONF_H
#define SERVER_CONF_H

#include "common/util/opt.h"

/* Where an option may stand: the configuration file, or a command. */
enum {
    IN_FILE = 1,
    IN_INIT = 2,
    IN_RUN = 4,
    IN_INVITE = 8,
    IN_USER = 16,
    IN_DOCTOR = 32,
    IN_AUDIT = 64,
    IN_ANY = IN_INIT | IN_RUN | IN_INVITE | IN_USER | IN_DOCTOR | IN_AUDIT,
};

#define CONF_OPTS(X)                                                                               \
    X(dir, TEXT, "", 0, 0, IN_ANY, "DIR", "keys, database and configuration")                      \
    X(config, TEXT, "", 0, 0, IN_ANY, "FILE", "configuration, else DIR/countersignd.conf")         \
    X(name, TEXT, "", 0, 0, IN_FILE, "NAME", "host name or address for clients, or with :PORT")    \
    X(extra_san, TEXT, "", 0, 0, IN_FILE | IN_INIT, "A,B,..", "further names in the certificate")  \
    X(listen, TEXT, "[::]:7443", 1, 0, IN_FILE | IN_INIT | IN_RUN, "ADDR:PORT",                    \
      "[::] is IPv4 too, port 0 any free one")                                                     \
    X(links, TEXT, "tls", 1, 0, IN_FILE | IN_RUN, "LIST", "links that are spoken")                 \
    X(ecdhe_leaf, TEXT, "rsa", 1, 0, IN_FILE | IN_RUN, "rsa|p256|self", "certificate for ecdhe")   \
    X(classic_key, TEXT, "", 0, 0, IN_FILE | IN_RUN, "FILE", "classic: key from a file, not RSA")  \
    X(threads, NUMBER, "1", 1, LOOPS_MAX, IN_FILE | IN_RUN, "N", "threads that carry connections") \
    X(workers, NUMBER, "2", 1, WORKERS_MAX, IN_FILE | IN_RUN, "N", "threads for handshakes")       \
    X(max_conns, NUMBER, "100", 1, CONNS_MAX, IN_FILE | IN_RUN, "N", "connections at most")        \
    X(handshakes, NUMBER, "50", 1, CONNS_MAX, IN_FILE | IN_RUN, "N",                               \
      "of these not logged in yet, at most")                                                       \
    X(per_source, NUMBER, "10", 1, CONNS_MAX, IN_FILE | IN_RUN, "N",                               \
      "of those from one address (IPv6: /64)")                                                     \
    X(handshake_seconds, NUMBER, "30", 1, 3600, IN_FILE | IN_RUN, "S",                             \
      "for handshake and login together")                                                          \
    X(out_kib, NUMBER, "4096", 2056, 4096, IN_FILE | IN_RUN, "K",                                  \
      "waiting for one reader: above is too slow")                                                 \
    X(audit_address_days, NUMBER, "7", 1, AUDIT_DAYS_MAX, IN_FILE | IN_RUN, "N",                   \
      "then addresses leave the audit log")                                                        \
    X(for_, TEXT, "", 0, 0, IN_INVITE, "NAME", "a further device for that person")                 \
    X(keep_devices, FLAG, "false", 0, 0, IN_INVITE, "", "with --for: former devices stay valid")   \
    X(admin, FLAG, "false", 0, 0, IN_INVITE, "", "the new account is an administrator")            \
    X(hours, NUMBER, "24", 1, 720, IN_INVITE, "N", "how long the invite is good")                  \
    X(at, TEXT, "", 0, 0, IN_INVITE | IN_INIT, "HOST:PORT", "address in the invite, else name")    \
    X(event, TEXT, "", 0, 0, IN_AUDIT, "EVENT", "list: of this event alone")                       \
    X(account, TEXT, "", 0, 0, IN_AUDIT, "NAME", "list: of this account alone")                    \
    X(since, TEXT, "", 0, 0, IN_AUDIT, "TIME", "list: from then on; a date, or a time in UTC")     \
    X(until, TEXT, "", 0, 0, IN_AUDIT, "TIME", "list: up to then")                                 \
    X(json, FLAG, "false", 0, 0, IN_AUDIT, "", "list: an object for each row")                     \
    X(checkpoint, TEXT, "", 0, 0, IN_AUDIT, "FILE", "verify: an older checkpoint, or a bundle")    \
    X(output, TEXT, "", 0, 0, IN_AUDIT | OPT_LETTER, "FILE",                                       \
      "export, prove: the file to make; also -o")                                                  \
    X(first, NUMBER, "1", 1, EXACT_INT_MAX, IN_AUDIT, "N", "export: from that row on")             \
    X(last, NUMBER, "0", 0, EXACT_INT_MAX, IN_AUDIT, "N", "export: up to that row, 0: all")        \
    X(version, FLAG, "false", 0, 0, IN_ANY, "", "print the version")                               \
    X(help, FLAG, "false", 0, 0, IN_ANY, "", "print this help")

struct conf {
    OPT_STRUCT(CONF_OPTS)
};

struct opt_table conf_table(void);

/* What stands on a command line, over what stands in the file, over the defaults. argv without the
 * program's and the command's names; what is left moves to the front, *left of them. out->dir is
 * filled in. A missing file is an error when it was named or when `in` is not IN_INIT. */
int conf_load(struct conf *out, unsigned in, int argc, char **argv, int *left,
              struct err *e) MUST_USE;
/* The file alone, over the values of *conf that come from a command line (SIGHUP). */
int conf_again(struct conf *out, int argc, char *const *argv, struct err *e) MUST_USE;

/* DIR/name. */
enum { CONF_PATH = 512 };
int conf_path(const struct conf *c, const char *name, char out[CONF_PATH], struct err *e) MUST_USE;

/* "host", "host:7443", "192.0.2.1:7443", "[::1]:7443", "::1". host without brackets; *port is left
 * alone when there is none. Names of any text, numbers from 0 to 65535. */
struct host_port {
    char host[RELAY_NAME_MAX + 1];
    unsigned port;
};
int host_port_take(struct host_port *out, struct str s, struct err *e) MUST_USE;

enum { PORT_DEFAULT = 7443 };

/* Certificates of the relay, and the keys that belong to them. */
enum leaf { LEAF_P256, LEAF_RSA, LEAF_EVIDENCE, LEAF_SELF, LEAF_COUNT };

/* What `links` and `ecdhe_leaf` say: bits by enum link_kind; which leaf ecdhe shows. */
int conf_links(const struct conf *c, unsigned *links, struct err *e) MUST_USE;
int conf_ecdhe_leaf(const struct conf *c, enum leaf *leaf, struct err *e) MUST_USE;

/* Names and addresses for the certificate: that of `name`, then those of extra_san. */
struct hosts {
    char text[HOSTS_MAX][RELAY_NAME_MAX + 1];
    const char *p[HOSTS_MAX];
    size_t n;
};
int conf_hosts(const struct conf *c, struct hosts *out, struct err *e) MUST_USE;

#endif
