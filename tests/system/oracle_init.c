// Process 1 of the oracle: runs /script of the initramfs in the root file system on the disk with the serial "root", as the micro
// guest would, with the serial console (no vsock there) as standard output. QEMU boots it with the kernel, modules and disk that
// Adyton uses.
//
// What it prints: "@@begin\n", the script's standard output, "@@end STATUS\n".
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void say(const char* text) {
  size_t left = strlen(text);
  for (ssize_t sent; left > 0 && (sent = write(1, text, left)) > 0; text += sent) left -= (size_t)sent;
}

static void give_up(const char* what) {
  dprintf(1, "oracle: %s: %s\n", what, strerror(errno));
  tcdrain(1);
  reboot(RB_POWER_OFF);
  _exit(1);
}

static void mount_or_give_up(const char* source, const char* target, const char* type, unsigned long flags, const char* options) {
  mkdir(target, 0755);
  if (mount(source, target, type, flags, options) != 0) give_up(target);
}

// Lines "GROUP PATH", every module after those that it needs.
static void load_modules(void) {
  FILE* list = fopen("/lib/modules/adyton.order", "re");
  if (!list) give_up("the list of modules");
  char group[64], path[512];
  while (fscanf(list, "%63s %511s", group, path) == 2) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST && errno != ENODEV)) give_up(path);
    close(fd);
  }
  fclose(list);
}

static void mount_root(void) {
  mkdir("/staging", 0755);
  mount_or_give_up("/dev/vda", "/staging/lower", "erofs", MS_RDONLY, "");
  mount_or_give_up("tmpfs", "/staging/layers", "tmpfs", 0, "mode=0755");
  mkdir("/staging/layers/upper", 0755);
  mkdir("/staging/layers/work", 0755);
  mount_or_give_up("overlay", "/staging/root", "overlay", 0,
                   "lowerdir=/staging/lower,upperdir=/staging/layers/upper,workdir=/staging/layers/work");
  mount_or_give_up("proc", "/staging/root/proc", "proc", 0, "");
  mount_or_give_up("sysfs", "/staging/root/sys", "sysfs", 0, "");
  mount_or_give_up("devtmpfs", "/staging/root/dev", "devtmpfs", 0, "mode=0755");
  mount_or_give_up("devpts", "/staging/root/dev/pts", "devpts", 0, "gid=5,mode=0620,ptmxmode=0666");
  mount_or_give_up("tmpfs", "/staging/root/dev/shm", "tmpfs", 0, "mode=1777");
  mount_or_give_up("tmpfs", "/staging/root/tmp", "tmpfs", 0, "mode=1777");
  mount_or_give_up("tmpfs", "/staging/root/run", "tmpfs", 0, "mode=0755");
}

int main(void) {
  struct termios raw;
  if (tcgetattr(1, &raw) == 0) {
    cfmakeraw(&raw);
    tcsetattr(1, TCSANOW, &raw);
  }
  mkdir("/dev", 0755);
  mount("devtmpfs", "/dev", "devtmpfs", 0, "mode=0755");
  static char script[64 * 1024];
  const int fd = open("/script", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, script, sizeof script - 1) <= 0) give_up("/script");
  close(fd);
  load_modules();
  mount_root();
  say("@@begin\n");
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    if (chroot("/staging/root") != 0 || chdir("/") != 0) give_up("chroot");
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 2);
    char* const argv[] = {"/bin/sh", "-c", script, NULL};
    char* const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL};
    execve(argv[0], argv, environment);
    _exit(127);
  }
  int status = 0;
  for (pid_t ended; (ended = wait(&status)) != child && (ended > 0 || errno == EINTR);) {}
  char end[64];
  snprintf(end, sizeof end, "@@end %d\n", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  say(end);
  tcdrain(1);
  reboot(RB_POWER_OFF);
  return 1;
}
