/*
 * replay FILE... -- gives every file to the fuzz target twice, without libFuzzer.
 *
 * Twice, because a target that keeps state between inputs behaves differently the second time.
 * Each input is a block of exactly its own size, so that reading past it is seen.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static uint8_t *file_read(const char *path, size_t *n)
{
    uint8_t *bytes = NULL;
    FILE *f = fopen(path, "rb");

    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        goto out;
    long size = ftell(f);
    if (size < 0 || fseek(f, 0, SEEK_SET) != 0)
        goto out;
    *n = (size_t)size;
    bytes = malloc(*n > 0 ? *n : 1);
    if (bytes != NULL && fread(bytes, 1, *n, f) != *n) {
        free(bytes);
        bytes = NULL;
    }
out:
    if (f != NULL)
        fclose(f);
    return bytes;
}

int main(int argc, char *argv[])
{
    for (int i = 1; i < argc; i++) {
        printf("%s\n", argv[i]);
        fflush(stdout);
        for (int round = 0; round < 2; round++) {
            size_t n = 0;
            uint8_t *bytes = file_read(argv[i], &n);
            if (bytes == NULL) {
                perror(argv[i]);
                return 1;
            }
            LLVMFuzzerTestOneInput(bytes, n);
            free(bytes);
        }
    }
    return 0;
}
