/* Samples and their quantiles, and what is read out of a stream's bytes. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include "common.h"

/* Nanoseconds. */
struct samples {
  uint64_t *values;
  size_t length, room;
};

static void add_sample(struct samples *s, uint64_t value) {
  if (s->length == s->room) {
    s->room = s->room == 0 ? 65536 : s->room * 2;
    s->values = must(realloc(s->values, s->room * sizeof *s->values));
  }
  s->values[s->length++] = value;
}

static int compare_samples(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static double quantile(const struct samples *s, double q) {
  if (s->length == 0) return 0;
  size_t at = (size_t)((double)s->length * q);
  return (double)s->values[at < s->length ? at : s->length - 1] / 1000;
}

static void print_samples(const char *name, struct samples *s) {
  qsort(s->values, s->length, sizeof *s->values, compare_samples);
  printf("\"%s\":{\"count\":%zu,\"p50\":%.1f,\"p95\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, s->length, quantile(s, 0.5),
         quantile(s, 0.95), quantile(s, 0.99), quantile(s, 1));
}

/* FNV-1a (64 bit). */
#define HASH_START 14695981039346656037ull
#define HASH_PRIME 1099511628211ull

/* Where the reading of a stream's bytes stands. The digits of a stamp count as zeros, so that equal streams have equal hashes. */
struct reading {
  uint64_t hash, bytes, stamp;
  /* Bytes of "@t" seen; from 2 on also digits. */
  int seen;
};

static void read_events(struct reading *r, const char *piece, size_t length, struct samples *delay) {
  for (size_t i = 0; i < length; i++) {
    char ch = piece[i];
    if (r->seen >= 2) {
      r->stamp = r->stamp * 10 + (uint64_t)(ch - '0');
      ch = '0';
      if (++r->seen == 2 + STAMP_DIGITS) {
        uint64_t now = now_ns();
        if (r->stamp > 0 && r->stamp <= now) add_sample(delay, now - r->stamp);
        r->seen = 0;
        r->stamp = 0;
      }
    } else if (ch == STAMP[r->seen]) r->seen++;
    else r->seen = ch == STAMP[0] ? 1 : 0;
    r->hash = (r->hash ^ (unsigned char)ch) * HASH_PRIME;
  }
  r->bytes += length;
}

/* How many different answers came. */
struct hashes {
  uint64_t hash, bytes;
  int count;
};

static void note_hash(struct hashes *h, uint64_t hash, uint64_t bytes) {
  if (h->count == 0) {
    h->hash = hash;
    h->bytes = bytes;
    h->count = 1;
  } else if (h->hash != hash || h->bytes != bytes) h->count++;
}

#endif
