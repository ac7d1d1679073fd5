/*
 * Load over HTTP/1.1 from one thread, where wrk has nothing to offer: a constant rate, and streams.
 *
 *     load rate PORT REQUEST SECONDS CONNECTIONS RATE        open loop: a request is due when it is due, whatever came of the others;
 *                                                            its latency runs from that moment (no coordinated omission)
 *     load streams PORT REQUEST SECONDS CONNECTIONS CHECK    each connection reads one stream after the other until the time is over;
 *                                                            CHECK 1: measures each event's delay and hashes every byte
 *
 * REQUEST is a file with the request, head and body. One JSON object on standard output; times in microseconds.
 */
#include "samples.h"

enum state { CONNECTING, IDLE, WAITING, HEAD, BODY };

struct conn {
  int fd;
  enum state state;
  size_t sent;
  /* When the request was due or begun. */
  uint64_t began;
  bool seen_body, sized, failed;
  int status;
  char head[16384];
  size_t head_length;
  /* Body bytes left; in chunked coding of the current chunk (-1: its size is being read, -2: the line end behind it). */
  int64_t left;
  uint64_t size_so_far;
  bool last_chunk;
  struct reading reading;
};

static int epoll_fd, port, connections;
static char *request;
static size_t request_length;
static bool by_rate, check, over;
static struct conn *conns, **idle;
static int idle_length;
static uint64_t finished, failed, bytes, busy;
static struct samples latency, first_byte, delay;
static struct hashes hashes;
/* Requests that are due and found no idle connection. */
static uint64_t *waiting;
static size_t waiting_head, waiting_tail, waiting_room;

static void arm(struct conn *c, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event) != 0) epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void open_conn(struct conn *c) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) die("socket");
  no_delay(c->fd);
  struct sockaddr_in address = loopback(port);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) die("connect");
  c->state = CONNECTING;
  arm(c, EPOLLOUT);
}

static void go_on(struct conn *c);

static void lose(struct conn *c) {
  if (c->state != CONNECTING && c->state != IDLE) {
    failed++;
    busy--;
  }
  close(c->fd);
  if (c->state == IDLE)
    for (int i = 0; i < idle_length; i++)
      if (idle[i] == c) idle[i] = idle[--idle_length];
  if (!over) open_conn(c);
}

static void send_rest(struct conn *c) {
  while (c->sent < request_length) {
    ssize_t sent = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) arm(c, EPOLLIN | EPOLLOUT);
      else lose(c);
      return;
    }
    c->sent += (size_t)sent;
  }
  arm(c, EPOLLIN);
}

static void begin(struct conn *c, uint64_t due) {
  c->state = WAITING;
  c->sent = c->head_length = 0;
  c->began = due;
  c->seen_body = false;
  c->reading = (struct reading){.hash = HASH_START};
  busy++;
  send_rest(c);
}

static void go_on(struct conn *c) {
  c->state = IDLE;
  if (over) return;
  if (!by_rate) begin(c, now_ns());
  else if (waiting_head < waiting_tail) begin(c, waiting[waiting_head++]);
  else idle[idle_length++] = c;
}

static void finish(struct conn *c) {
  busy--;
  if (c->status == 200) {
    finished++;
    if (by_rate) add_sample(&latency, now_ns() - c->began);
    else note_hash(&hashes, c->reading.hash, c->reading.bytes);
  } else failed++;
  go_on(c);
}

static void data(struct conn *c, const char *piece, size_t length) {
  bytes += length;
  if (by_rate) return;
  if (!c->seen_body) {
    c->seen_body = true;
    add_sample(&first_byte, now_ns() - c->began);
  }
  if (check) read_events(&c->reading, piece, length, &delay);
  else c->reading.bytes += length;
}

/* Reads the body's bytes; true when the answer is at its end. */
static bool body(struct conn *c, const char *piece, size_t length) {
  while (length > 0) {
    if (c->left > 0) {
      size_t take = (uint64_t)c->left < length ? (size_t)c->left : length;
      data(c, piece, take);
      piece += take;
      length -= take;
      c->left -= (int64_t)take;
      if (c->left > 0) return false;
      if (c->sized) return true;
      c->left = -2;
      continue;
    }
    char ch = *piece++;
    length--;
    if (c->left == -2) {
      if (ch != '\n') continue;
      if (c->last_chunk) return true;
      c->left = -1;
      c->size_so_far = 0;
    } else if (ch == '\n') {
      c->last_chunk = c->size_so_far == 0;
      c->left = c->last_chunk ? -2 : (int64_t)c->size_so_far;
    } else if (ch != '\r') {
      c->size_so_far = c->size_so_far * 16 + (uint64_t)(ch <= '9' ? ch - '0' : (ch | 32) - 'a' + 10);
    }
  }
  return false;
}

static const char *header(const char *head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, name, length) == 0) return line + 2 + length;
  return NULL;
}

/* False: the connection has nothing more to give now. */
static void receive(struct conn *c) {
  static char buffer[1 << 18];
  for (;;) {
    ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || c->state == IDLE) {
      lose(c);
      return;
    }
    const char *from = buffer;
    size_t length = (size_t)got;
    if (c->state == WAITING || c->state == HEAD) {
      c->state = HEAD;
      size_t had = c->head_length, room = sizeof c->head - 1 - had;
      size_t take = length < room ? length : room;
      memcpy(c->head + had, buffer, take);
      c->head_length += take;
      c->head[c->head_length] = 0;
      char *end = strstr(c->head, "\r\n\r\n");
      if (end == NULL) continue;
      size_t used = (size_t)(end + 4 - c->head) - had;
      from += used;
      length -= used;
      end[2] = 0;
      c->status = atoi(c->head + 9);
      const char *size = header(c->head, "content-length:");
      c->sized = size != NULL;
      c->left = c->sized ? atoll(size) : -1;
      c->size_so_far = 0;
      c->last_chunk = false;
      c->state = BODY;
      if (c->sized && c->left == 0) {
        finish(c);
        return;
      }
    }
    if (body(c, from, length)) {
      finish(c);
      return;
    }
  }
}

static void read_request(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) die(path);
  size_t room = 1 << 16;
  request = must(malloc(room));
  for (size_t got; (got = fread(request + request_length, 1, room - request_length, file)) > 0;) {
    request_length += got;
    if (request_length == room) request = must(realloc(request, room *= 2));
  }
  fclose(file);
}

int main(int argc, char **argv) {
  if (argc != 7) {
    fputs("usage: load rate PORT REQUEST SECONDS CONNECTIONS RATE\n       load streams PORT REQUEST SECONDS CONNECTIONS CHECK\n", stderr);
    return 64;
  }
  raise_file_limit();
  by_rate = strcmp(argv[1], "rate") == 0;
  port = atoi(argv[2]);
  read_request(argv[3]);
  double seconds = atof(argv[4]);
  connections = atoi(argv[5]);
  double rate = atof(argv[6]);
  check = !by_rate && rate > 0;
  epoll_fd = epoll_create1(0);
  conns = must(calloc((size_t)connections, sizeof *conns));
  idle = must(calloc((size_t)connections, sizeof *idle));
  waiting_room = by_rate ? (size_t)(rate * seconds) + 16 : 1;
  waiting = must(calloc(waiting_room, sizeof *waiting));
  for (int i = 0; i < connections; i++) open_conn(&conns[i]);

  uint64_t start = now_ns() + (by_rate ? 200000000ull : 0), end = start + (uint64_t)(seconds * 1e9);
  /* Streams are read to their end: the last ones may take some time more. */
  uint64_t patience = end + 30000000000ull;
  uint64_t step = by_rate ? (uint64_t)(1e9 / rate) : 0, due = start;
  struct epoll_event events[512];
  while (!over || (busy > 0 && now_ns() < patience)) {
    uint64_t until = over ? patience : by_rate && due < end ? due : end;
    int count = wait_until(epoll_fd, events, 512, until);
    for (int i = 0; i < count; i++) {
      struct conn *c = events[i].data.ptr;
      if (c->state == CONNECTING) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error != 0) {
          errno = error;
          die("connect");
        }
        arm(c, EPOLLIN);
        go_on(c);
        continue;
      }
      if ((events[i].events & EPOLLOUT) != 0) send_rest(c);
      if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(c);
    }
    uint64_t now = now_ns();
    for (; by_rate && due <= now && due < end; due += step) {
      if (idle_length > 0) begin(idle[--idle_length], due);
      else waiting[waiting_tail++] = due;
    }
    if (now >= end && waiting_head == waiting_tail) over = true;
    if (now >= patience) break;
  }
  double took = (double)(now_ns() - start) / 1e9;
  failed += busy + (waiting_tail - waiting_head);
  printf("{\"seconds\":%.6f,\"finished\":%llu,\"failed\":%llu,\"bytes\":%llu,\"distinct\":%d,\"hash\":\"%016llx\",\"each\":%llu,", took,
         (unsigned long long)finished, (unsigned long long)failed, (unsigned long long)bytes, hashes.count,
         (unsigned long long)hashes.hash, (unsigned long long)hashes.bytes);
  print_samples("latency", &latency);
  printf(",");
  print_samples("firstByte", &first_byte);
  printf(",");
  print_samples("delay", &delay);
  printf("}\n");
  return 0;
}
