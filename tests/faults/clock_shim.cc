// Preloaded into the service, its VMs and their clients: a wall clock that a test can set while they run. The offset stands in
// the file that FAULT_CLOCK names, which is mapped before a sandbox closes: no system call is needed later. Only the wall clock
// is moved, as settimeofday(2) does; what waits for an absolute wall-clock time waits wrongly.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

std::atomic<int64_t>* offset = nullptr;  // seconds
decltype(&::clock_gettime) real_clock_gettime = nullptr;

__attribute__((constructor)) void begin() {
  real_clock_gettime = reinterpret_cast<decltype(&::clock_gettime)>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const char* path = std::getenv("FAULT_CLOCK");
  const int fd = path != nullptr ? ::open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void* at = ::mmap(nullptr, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  if (at != MAP_FAILED) offset = static_cast<std::atomic<int64_t>*>(at);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (real_clock_gettime == nullptr) begin();  // another library's constructor was first
  const int result = real_clock_gettime(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && offset != nullptr) time->tv_sec += *offset;
  return result;
}

__attribute__((visibility("default"))) int gettimeofday(timeval* time, void*) noexcept {
  timespec now{};
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  *time = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return result;
}

__attribute__((visibility("default"))) time_t time(time_t* also) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (also != nullptr) *also = now.tv_sec;
  return now.tv_sec;
}
}
