/* VERIFY.txt: part of every bundle, the same in all of them. A change of one letter makes another
 * version: docs/verify.sh has its SHA-256. */
#include "common/evidence/bundle.h"

/* In two literals, since C compilers need not take one of this length. */
#define FILES_AND_KEYS                                                                             \
    "Evidence of what was said, made with Countersign (bundle version 1)\n"                        \
    "\n"                                                                                           \
    "It can be checked without Countersign or a network, in ten years, with POSIX sh and "         \
    "openssl\n"                                                                                    \
    "1.1.1 or newer: docs/verify.sh does all of it, as \"countersign verify\"; below, by hand.\n"  \
    "\n"                                                                                           \
    "  checkpoint.txt, .sig  signed by the relay: id of a room, number of its entries, root of\n"  \
    "                        their hash tree (RFC 6962), ms since 1970, its certificate\n"         \
    "  transcript.txt        a line each: seqno|ts|base64(ct)|base64(sig)|peer_cert_fingerprint\n" \
    "                        seqno, ts: the relay's count and time; ct: the line that the\n"       \
    "                        author signed, and behind a line feed the body, unless withheld\n"    \
    "  receipt.txt           instead of a checkpoint: what both ends sign of a session\n"          \
    "  client.txt, .sig      who sealed it, his signature of both texts; so relay, member\n"       \
    "  receipt.p7s           the client's signature of receipt.txt once more, as CMS (CAdES-B)\n"  \
    "  receipt.tsr           when receipt.p7s was there, by a third clock (RFC 3161); may be "     \
    "empty,\n"                                                                                     \
    "  checkpoint.tsr        as may this, about checkpoint.sig\n"                                  \
    "  later.txt, .sig       instead of a transcript: a checkpoint that contradicts the first\n"   \
    "  audit.txt             instead of a transcript: lines of the relay's audit log, each a "     \
    "leaf\n"                                                                                       \
    "                        of its tree as it stands (below: without TS)\n"                       \
    "  proof.txt             hashes that lead from the entries to the root; or the root that\n"    \
    "                        the later tree had at the earlier size, and what leads to its own\n"  \
    "  root.der, issuer.der  the CA and its intermediate; crl.der: what that one has revoked\n"    \
    "  certs/SHA-256.der     of the authors and of the relay\n"                                    \
    "\n"                                                                                           \
    "1. Certificates. Compare the SHA-256 of root.der with one that you got another way. T is\n"   \
    "   a time in seconds: for the relay's certs/F.der that of the checkpoint, for an author's\n"  \
    "   those of his entries.\n"                                                                   \
    "\n"                                                                                           \
    "     openssl dgst -sha256 root.der certs/*.der     # each is named by its SHA-256\n"          \
    "     for f in root issuer; do openssl x509 -inform DER -in $f.der -out $f.pem; done\n"        \
    "     openssl x509 -inform DER -in certs/F.der -out F.pem\n"                                   \
    "     openssl verify -x509_strict -attime T -CAfile root.pem -untrusted issuer.pem F.pem\n"    \
    "     openssl x509 -in F.pem -noout -subject -serial -ext extendedKeyUsage,keyUsage\n"         \
    "     openssl crl -inform DER -in crl.der -noout -text -CAfile issuer.pem\n"                   \
    "\n"                                                                                           \
    "   An author's use is clientAuth, the relay's 2.25.8406729532635785283492383773779946475.\n"  \
    "   A serial number on the list counts from the date beside it. Whoever made this file "       \
    "chose\n"                                                                                      \
    "   the list: check a newer one of its issuer too, if you have it (verify.sh FILE CA LIST).\n" \
    "\n"                                                                                           \
    "2. The relay's signature.\n"                                                                  \
    "\n"                                                                                           \
    "     openssl x509 -in F.pem -noout -pubkey > F.pub\n"                                         \
    "     openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 \\\n"       \
    "       -verify F.pub -signature checkpoint.sig checkpoint.txt\n"                              \
    "\n"                                                                                           \
    "   Of a receipt: in the same way, of the text of \"cat receipt.txt client.txt\". And by\n"    \
    "   receipt.p7s, with openssl 3 or newer:\n"                                                   \
    "\n"                                                                                           \
    "     openssl cms -verify -binary -cades -inform DER -in receipt.p7s \\\n"                     \
    "       -content receipt.txt -CAfile root.pem -purpose any -attime T -out /dev/null\n"         \
    "\n"                                                                                           \
    "   A time stamp, with the root certificate of its authority; T is its own time:\n"            \
    "\n"                                                                                           \
    "     openssl ts -reply -in receipt.tsr -text\n"                                               \
    "     openssl ts -verify -in receipt.tsr -data receipt.p7s -CAfile tsa.pem -attime T\n"        \
    "\n"

#define MESSAGES                                                                                   \
    "3. An author's signature, here of the third line.\n"                                          \
    "\n"                                                                                           \
    "     sed -n 3p transcript.txt | cut -d'|' -f3 | openssl base64 -d -A > ct\n"                  \
    "     sed -n 3p transcript.txt | cut -d'|' -f4 | openssl base64 -d -A > sig\n"                 \
    "     sed 1q ct | tr -d '\\n' > line\n"                                                        \
    "     openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 \\\n"       \
    "       -verify F.pub -signature sig line\n"                                                   \
    "\n"                                                                                           \
    "   Its fields: countersign-entry-1, room, epoch, the author's count, his time, his\n"         \
    "   certificate, SHA-256 of his line before, SHA-256 of the body, commitment, and what he\n"   \
    "   had seen: N.H, the room's head at N. head(0) is 32 zero bytes, head(n) is\n"               \
    "   SHA-256(head(n-1) || line || \"|\" || ts). A receipt's base, transcript_hash are heads.\n" \
    "\n"                                                                                           \
    "4. The text: 32 random bytes, then what was said.\n"                                          \
    "\n"                                                                                           \
    "     tail -c +$(($(wc -c < line) + 2)) ct > body\n"                                           \
    "     openssl dgst -sha256 body                                # the hash in the line\n"       \
    "     { printf '\\002'; cat body; } | openssl dgst -sha256      # the commitment\n"            \
    "     tail -c +33 body\n"                                                                      \
    "\n"                                                                                           \
    "5. The tree: the leaf of an entry, and the node above two hashes (binary).\n"                 \
    "\n"                                                                                           \
    "     { printf '\\000'; cat line; printf '|%s' TS; } | openssl dgst -sha256 -binary > leaf\n"  \
    "     { printf '\\001'; cat left right; } | openssl dgst -sha256 -binary > node\n"             \
    "\n"                                                                                           \
    "   A tree of n leaves is split at the largest power of two below n. The hash of a half\n"     \
    "   without an entry of the transcript is the next one of proof.txt, in the order in which\n"  \
    "   halves are joined from below. The root must be that of checkpoint.txt.\n"                  \
    "\n"                                                                                           \
    "It proves that whoever held these keys signed these lines, and that the relay had them in\n"  \
    "this order when it signed. It does not prove that a key was in its owner's hands, that\n"     \
    "anybody read a message, that nothing else was sent, or times by other clocks than theirs.\n"

static const struct {
    char files[sizeof FILES_AND_KEYS - 1], messages[sizeof MESSAGES - 1];
} guide = {FILES_AND_KEYS, MESSAGES};

struct span bundle_guide(void)
{
    return span_of(&guide, sizeof guide);
}
