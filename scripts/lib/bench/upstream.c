/*
 * A fake upstream that is never the bottleneck: one thread, epoll, answers made once.
 *
 *     upstream PORT
 *
 * What it answers stands in the first bytes of the request's body, which every subject passes on:
 * "@unary SIZE" one answer with SIZE bytes of text; "@burst COUNT" a stream of COUNT events at once; "@paced COUNT MICROSECONDS"
 * one event each so often. A path that ends in "/responses" is answered as the Responses API does, any other as Cloud Code does.
 */
#include "answers.h"

#define HEAD_ROOM 16384

enum kind { UNARY, BURST };

struct conn {
  int fd;
  char head[HEAD_ROOM];
  size_t head_length;
  /* Bytes of the body that are still to come; -1: the head is not whole yet. */
  int64_t body_left;
  /* What is being written. */
  const char *out;
  size_t out_length, out_sent;
  bool wants_out;
  /* A paced stream: events given, of how many, how often. */
  enum api api;
  uint64_t given, count, every, due;
  struct text piece;
  /* Place in the heap; -1: not in it. */
  int place;
};

static int epoll_fd;
static struct conn **heap;
static int heap_length, heap_room;

static void heap_set(int place, struct conn *c) {
  heap[place] = c;
  c->place = place;
}

static void heap_up(int place) {
  struct conn *c = heap[place];
  while (place > 0 && heap[(place - 1) / 2]->due > c->due) {
    heap_set(place, heap[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  heap_set(place, c);
}

static void heap_down(int place) {
  struct conn *c = heap[place];
  for (;;) {
    int child = place * 2 + 1;
    if (child >= heap_length) break;
    if (child + 1 < heap_length && heap[child + 1]->due < heap[child]->due) child++;
    if (heap[child]->due >= c->due) break;
    heap_set(place, heap[child]);
    place = child;
  }
  heap_set(place, c);
}

static void heap_add(struct conn *c) {
  if (heap_length == heap_room) {
    heap_room = heap_room == 0 ? 1024 : heap_room * 2;
    heap = must(realloc(heap, (size_t)heap_room * sizeof *heap));
  }
  heap_set(heap_length++, c);
  heap_up(c->place);
}

static void heap_remove(struct conn *c) {
  int place = c->place;
  if (place < 0) return;
  c->place = -1;
  struct conn *last = heap[--heap_length];
  if (last == c) return;
  heap_set(place, last);
  heap_up(place);
  heap_down(last->place);
}

static void close_conn(struct conn *c) {
  heap_remove(c);
  close(c->fd);
  free(c->piece.bytes);
  free(c);
}

static void watch(struct conn *c, bool out) {
  if (c->wants_out == out) return;
  c->wants_out = out;
  struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

/* False: the connection is gone. */
static bool flush(struct conn *c) {
  while (c->out_sent < c->out_length) {
    ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) {
        watch(c, true);
        return true;
      }
      close_conn(c);
      return false;
    }
    c->out_sent += (size_t)sent;
  }
  watch(c, false);
  return true;
}

static bool give(struct conn *c, const char *bytes, size_t length) {
  c->out = bytes;
  c->out_length = length;
  c->out_sent = 0;
  return flush(c);
}

/* The next event of a paced stream. Skipped while the last one is not taken. */
static void pace(struct conn *c, uint64_t now) {
  c->due += c->every;
  if (c->out_sent < c->out_length) {
    if (c->due < now) c->due = now + c->every;
    heap_down(c->place);
    return;
  }
  c->piece.length = 0;
  add_event(&c->piece, c->api, c->given, c->count);
  char *stamp = memmem(c->piece.bytes, c->piece.length, STAMP "0000", 6);
  char digits[STAMP_DIGITS + 1];
  snprintf(digits, sizeof digits, "%0*llu", STAMP_DIGITS, (unsigned long long)now_ns());
  if (stamp != NULL) memcpy(stamp + strlen(STAMP), digits, STAMP_DIGITS);
  bool last = ++c->given == c->count;
  if (last) {
    add(&c->piece, STREAM_END);
    heap_remove(c);
  } else heap_down(c->place);
  give(c, c->piece.bytes, c->piece.length);
}

/* Answers are made once and kept. */
static const struct text *kept_answer(enum kind kind, enum api api, uint64_t number) {
  static struct kept {
    enum kind kind;
    enum api api;
    uint64_t number;
    struct text answer;
  } kept[256];
  static int count;
  for (int i = 0; i < count; i++)
    if (kept[i].kind == kind && kept[i].api == api && kept[i].number == number) return &kept[i].answer;
  if (count == 256) die("too many kinds of answers");
  struct text answer = kind == UNARY ? unary_answer(api, number) : burst_answer(api, number);
  kept[count] = (struct kept){kind, api, number, answer};
  return &kept[count++].answer;
}

static void answer(struct conn *c) {
  c->head[c->head_length] = 0;
  char *path_end = strstr(c->head, " HTTP/1.");
  c->api = path_end != NULL && path_end - c->head >= 10 && memcmp(path_end - 10, "/responses", 10) == 0 ? RESPONSES : CLOUD_CODE;
  unsigned long long count = 1024, every = 0;
  char *order = strstr(c->head, "@unary ");
  char *burst = strstr(c->head, "@burst "), *paced = strstr(c->head, "@paced ");
  c->head_length = 0;
  c->body_left = -1;
  if (paced != NULL && sscanf(paced, "@paced %llu %llu", &count, &every) == 2) {
    c->given = 0;
    c->count = count;
    c->every = every * 1000;
    c->due = now_ns() + c->every;
    heap_add(c);
    give(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    return;
  }
  if (burst != NULL) sscanf(burst, "@burst %llu", &count);
  else if (order != NULL) sscanf(order, "@unary %llu", &count);
  const struct text *kept = kept_answer(burst != NULL ? BURST : UNARY, c->api, count);
  give(c, kept->bytes, kept->length);
}

static int64_t declared_length(const char *head) {
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, "content-length:", 15) == 0) return atoll(line + 17);
  return 0;
}

static void take(struct conn *c) {
  static char spill[1 << 18];
  for (;;) {
    bool in_head = c->head_length < HEAD_ROOM - 1;
    ssize_t got = in_head ? recv(c->fd, c->head + c->head_length, HEAD_ROOM - 1 - c->head_length, 0)
                          : recv(c->fd, spill, sizeof spill, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close_conn(c);
      return;
    }
    if (in_head) c->head_length += (size_t)got;
    if (c->body_left < 0) {
      c->head[c->head_length] = 0;
      char *end = strstr(c->head, "\r\n\r\n");
      if (end == NULL) continue;
      c->body_left = declared_length(c->head) - (int64_t)(c->head_length - (size_t)(end + 4 - c->head));
    } else c->body_left -= got;
    if (c->body_left > 0) continue;
    answer(c);
    return;
  }
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    no_delay(fd);
    struct conn *c = must(calloc(1, sizeof *c));
    c->fd = fd;
    c->body_left = -1;
    c->place = -1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: upstream PORT\n", stderr);
    return 64;
  }
  raise_file_limit();
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = loopback(atoi(argv[1]));
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
  if (listen(listener, 8192) != 0) die("listen");
  epoll_fd = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  struct epoll_event events[512];
  for (;;) {
    int count = wait_until(epoll_fd, events, 512, heap_length == 0 ? 0 : heap[0]->due);
    for (int i = 0; i < count; i++) {
      struct conn *c = events[i].data.ptr;
      if (c == NULL) accept_all(listener);
      else if ((events[i].events & EPOLLOUT) != 0 && !flush(c)) continue;
      else if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) take(c);
    }
    for (uint64_t now = now_ns(); heap_length > 0 && heap[0]->due <= now;) pace(heap[0], now);
  }
}
