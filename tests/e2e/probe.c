// The payload of the end-to-end tests: does one thing per word, as `probe WORD ARGUMENTS...`.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
// clang-format off: it needs what <sys/socket.h> declares.
#include <linux/vm_sockets.h>
// clang-format on

static volatile sig_atomic_t seen;
static void note(int number) { seen = number; }

static void say(const char* text) {
  fputs(text, stdout);
  fflush(stdout);
}

// Copies stdin to stdout, unbuffered.
static int cat(void) {
  static char buffer[1 << 16];
  ssize_t got;
  while ((got = read(0, buffer, sizeof buffer)) > 0) {
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = write(1, buffer + done, (size_t)(got - done));
      if (put < 0) return 1;
      done += put;
    }
  }
  return got < 0;
}

static int vsock(unsigned cid, unsigned port, struct sockaddr_vm* address) {
  memset(address, 0, sizeof *address);
  address->svm_family = AF_VSOCK;
  address->svm_cid = cid;
  address->svm_port = port;
  return socket(AF_VSOCK, SOCK_STREAM, 0);
}

// Sends what comes in on a vsock port back, one connection after the other, until standard input ends.
static int vsock_echo(unsigned port) {
  static char buffer[1 << 16];
  struct sockaddr_vm address;
  const int listener = vsock(VMADDR_CID_ANY, port, &address);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 8) != 0) return 1;
  say("listening\n");
  for (;;) {
    struct pollfd polls[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    poll(polls, 2, -1);
    if (polls[1].revents) return 0;
    const int fd = accept(listener, NULL, NULL);
    for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      if (send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got) break;
    }
    close(fd);
  }
}

static int vsock_say(unsigned port) {
  static const char text[] = "hello from the guest\n";
  struct sockaddr_vm address;
  const int fd = vsock(VMADDR_CID_HOST, port, &address);
  const int connected = connect(fd, (struct sockaddr*)&address, sizeof address) == 0;
  if (connected && send(fd, text, sizeof text - 1, 0) != sizeof text - 1) return 1;
  printf("%u: %s\n", port, connected ? "connected" : "refused");
  close(fd);
  return 0;
}

// Of /proc/meminfo, in KiB.
static long memory_field(const char* name) {
  char line[256];
  long value = -1;
  FILE* info = fopen("/proc/meminfo", "r");
  while (value < 0 && fgets(line, sizeof line, info) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name));
  }
  fclose(info);
  return value;
}

static void* add_many(void* counter) {
  for (int i = 0; i < 100000; ++i) __atomic_fetch_add((long*)counter, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static int threads(int count) {
  pthread_t thread[64];
  long counter = 0;
  for (int i = 0; i < count; ++i) pthread_create(&thread[i], NULL, add_many, &counter);
  for (int i = 0; i < count; ++i) pthread_join(thread[i], NULL);
  printf("%ld on %ld\n", counter, sysconf(_SC_NPROCESSORS_ONLN));
  return 0;
}

static int forks(int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) _exit(i & 0x7f);
    int status = 0;
    if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != (i & 0x7f)) return 2;
  }
  printf("%d children\n", count);
  return 0;
}

// What each device of the VM is for, once: the disk /dev/vda, a line of the virtio console, an alarm of the clock.
static int devices(void) {
  static char block[4096];
  const uint64_t range[2] = {65536, 65536};
  const int disk = open("/dev/vda", O_RDWR);
  const int done = disk >= 0 && pwrite(disk, block, sizeof block, 0) == sizeof block && fsync(disk) == 0 &&
                   ioctl(disk, BLKDISCARD, range) == 0 && ioctl(disk, BLKZEROOUT, range) == 0;
  printf("disk: %s\n", done ? "ok" : strerror(errno));
  FILE* console = fopen("/dev/hvc0", "r+");
  char line[64] = "none\n";
  struct termios raw;
  if (console != NULL) {
    tcgetattr(fileno(console), &raw);
    raw.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(fileno(console), TCSANOW, &raw);
    fputs("prompt\n", console);
    fflush(console);
    if (fgets(line, sizeof line, console) == NULL) strcpy(line, "no line\n");
  }
  printf("console: %s", line);
  FILE* alarm = fopen("/sys/class/rtc/rtc0/wakealarm", "w");
  printf("alarm: %s\n", alarm != NULL && fputs("+1", alarm) >= 0 && fclose(alarm) == 0 ? "ok" : strerror(errno));
  return 0;
}

// Other processes of this program whose first word is `word`.
static int count_processes(const char* word) {
  int count = 0;
  DIR* all = opendir("/proc");
  if (all == NULL) return -1;
  for (struct dirent* entry; (entry = readdir(all)) != NULL;) {
    char path[64], line[256];
    if (atoi(entry->d_name) <= 0 || atoi(entry->d_name) == getpid()) continue;
    snprintf(path, sizeof path, "/proc/%.16s/cmdline", entry->d_name);
    FILE* file = fopen(path, "r");
    if (file == NULL) continue;
    const size_t got = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[got] = 0;
    const size_t program = strlen(line) + 1;
    if (program < got && strcmp(line + program, word) == 0) ++count;
  }
  closedir(all);
  return count;
}

static int copy_file(const char* path) {
  FILE* file = fopen(path, "r");
  if (file == NULL) {
    printf("%s: %s\n", path, strerror(errno));
    return 1;
  }
  for (int c; (c = fgetc(file)) != EOF;) putchar(c);
  return fclose(file);
}

// Returns when `seen` is set. The signal is blocked between the look and the sleep, so that it cannot come unnoticed there.
static void await_signal(void) {
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  while (!seen) sigsuspend(&before);
  sigprocmask(SIG_SETMASK, &before, NULL);
}

int main(int argc, char** argv) {
  const char* word = argc > 1 ? argv[1] : "";
  const int number = argc > 2 ? atoi(argv[2]) : 0;
  if (strcmp(word, "exit") == 0) return number;
  if (strcmp(word, "args") == 0) {
    for (int i = 2; i < argc; ++i) printf("[%s]\n", argv[i]);
    return 0;
  }
  if (strcmp(word, "kill") == 0) return raise(number);
  if (strcmp(word, "abort") == 0) abort();
  if (strcmp(word, "cat") == 0) return cat();
  if (strcmp(word, "both") == 0) {
    say("to stdout\n");
    fputs("to stderr\n", stderr);
    return 0;
  }
  if (strcmp(word, "env") == 0) {
    const char* value = getenv(argv[2]);
    puts(value != NULL ? value : "(unset)");
    return 0;
  }
  if (strcmp(word, "cwd") == 0) {
    char path[4096];
    puts(getcwd(path, sizeof path) != NULL ? path : "?");
    return 0;
  }
  if (strcmp(word, "file") == 0) return copy_file(argv[2]);
  if (strcmp(word, "write") == 0) {
    FILE* file = fopen(argv[2], "w");
    if (file == NULL) {
      puts(strerror(errno));
      return 1;
    }
    const int put = fputs("written\n", file);
    if (fclose(file) != 0 || put < 0) {
      puts(strerror(errno));
      return 1;
    }
    return copy_file(argv[2]);
  }
  if (strcmp(word, "wait-signal") == 0) {
    signal(number, note);
    say("ready\n");
    await_signal();
    printf("signal %d\n", (int)seen);
    return 3;
  }
  if (strcmp(word, "ignore") == 0) {
    signal(SIGINT, SIG_IGN);
    say("ready\n");
    for (;;) pause();
  }
  if (strcmp(word, "stubborn") == 0) {
    signal(SIGTERM, SIG_IGN);
    say("ready\n");
    for (;;) pause();
  }
  if (strcmp(word, "wait") == 0) {
    say("ready\n");
    for (;;) pause();
  }
  if (strcmp(word, "last-words") == 0) {
    signal(SIGTERM, note);
    say("ready\n");
    await_signal();
    say("last words\n");
    return 6;
  }
  if (strcmp(word, "until-running") == 0 || strcmp(word, "until-gone") == 0) {
    while ((count_processes(argv[2]) > 0) != (word[6] == 'r')) usleep(10000);
    return 0;
  }
  if (strcmp(word, "watch-cache") == 0) {
    static char buffer[1 << 16];
    const int file = open(argv[3], O_RDONLY);
    while (read(file, buffer, sizeof buffer) > 0) continue;
    const long before = memory_field("Cached:");
    say("cached\n");
    while (memory_field("Cached:") > before - number) usleep(10000);
    say("dropped\n");
    return 0;
  }
  if (strcmp(word, "clocks") == 0) {
    struct timespec monotonic, wall;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME, &wall);
    printf("%lld.%09ld %lld.%09ld\n", (long long)monotonic.tv_sec, monotonic.tv_nsec, (long long)wall.tv_sec, wall.tv_nsec);
    return 0;
  }
  if (strcmp(word, "flood") == 0) {
    static char line[4096];
    memset(line, 'x', sizeof line);
    for (;;) {
      if (write(1, line, sizeof line) < 0) return errno == EPIPE ? 32 : 1;
    }
  }
  if (strcmp(word, "terminal") == 0) {
    struct winsize size = {0};
    ioctl(0, TIOCGWINSZ, &size);
    printf("%d %d %d %dx%d\n", isatty(0), isatty(1), isatty(2), size.ws_row, size.ws_col);
    return 0;
  }
  if (strcmp(word, "wait-resize") == 0) {
    struct winsize size = {0};
    signal(SIGWINCH, note);
    say("ready\n");
    await_signal();
    ioctl(0, TIOCGWINSZ, &size);
    printf("%dx%d\n", size.ws_row, size.ws_col);
    return 0;
  }
  if (strcmp(word, "devices") == 0) return devices();
  if (strcmp(word, "vsock-echo") == 0) return vsock_echo((unsigned)number);
  if (strcmp(word, "vsock-say") == 0) {
    for (int i = 2; i < argc; ++i) {
      if (vsock_say((unsigned)atoi(argv[i])) != 0) return 1;
    }
    return 0;
  }
  if (strcmp(word, "threads") == 0) return threads(number);
  if (strcmp(word, "forks") == 0) return forks(number);
  if (strcmp(word, "crash-kernel") == 0) {
    FILE* trigger = fopen("/proc/sysrq-trigger", "w");
    if (trigger == NULL) return 1;
    fputs(argv[2], trigger);
    fclose(trigger);
    for (;;) pause();
  }
  if (strcmp(word, "watchdog") == 0) {
    // Whose it is, and how long it waits; then, with a number, whoever opens it must refresh it, and does not.
    struct watchdog_info info = {0};
    int seconds = 0;
    const int watchdog = open("/dev/watchdog", O_WRONLY);
    if (watchdog < 0 || ioctl(watchdog, WDIOC_GETSUPPORT, &info) != 0 || ioctl(watchdog, WDIOC_GETTIMEOUT, &seconds) != 0) return 1;
    printf("%s, %d s\n", (const char*)info.identity, seconds);
    fflush(stdout);
    if (number != 0 && ioctl(watchdog, WDIOC_SETTIMEOUT, &number) == 0) {
      for (;;) pause();
    }
    return write(watchdog, "V", 1) != 1;  // it is left in order
  }
  if (strcmp(word, "memory") == 0) {
    FILE* info = fopen("/proc/meminfo", "r");
    long kilobytes = 0;
    if (info == NULL || fscanf(info, "MemTotal: %ld", &kilobytes) != 1) return 1;
    printf("%ld\n", kilobytes / 1024);
    return 0;
  }
  fprintf(stderr, "probe: no such word: %s\n", word);
  return 2;
}
