/*
 * Virtual machines for programs in C. The functions AVirtual... have the names, contracts and numbers of Android's libavf (LLNDK,
 * API level 36: android/virtualization.h), so that code written for it compiles; they make custom VMs, from a kernel and disks.
 * The functions Adyton... are of this library: VMs that run a payload, and what the machine can do.
 *
 * Functions that return int return 0, or a negative errno value, unless said otherwise. Descriptors that a function takes are the
 * library's from then on, also if it fails. Threading: any thread; a configuration belongs to one thread at a time.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- libavf ---------------------------------------------------------------------------------------------------------- */

typedef struct AVirtualMachineRawConfig AVirtualMachineRawConfig;
typedef struct AVirtualizationService AVirtualizationService;
typedef struct AVirtualMachine AVirtualMachine;

/* Why a VM stopped. The numbers are libavf's, which are not those of adyton::StopReason. */
enum AVirtualMachineStopReason {
  AVIRTUAL_MACHINE_UNRECOGNISED = 0, /* a reason that this interface has no number for */
  AVIRTUAL_MACHINE_VIRTUALIZATION_SERVICE_DIED = 1,
  AVIRTUAL_MACHINE_INFRASTRUCTURE_ERROR = 2, /* the service could not do its part */
  AVIRTUAL_MACHINE_KILLED = 3,               /* AVirtualMachine_stop(), or a signal to its process */
  AVIRTUAL_MACHINE_UNKNOWN = 4,
  AVIRTUAL_MACHINE_SHUTDOWN = 5, /* the guest powered off */
  AVIRTUAL_MACHINE_START_FAILED = 6,
  AVIRTUAL_MACHINE_REBOOT = 7, /* the guest asked for a reset, which ends it */
  AVIRTUAL_MACHINE_CRASH = 8,  /* the guest, or its virtual machine monitor */
  AVIRTUAL_MACHINE_PVM_FIRMWARE_PUBLIC_KEY_MISMATCH = 9,
  AVIRTUAL_MACHINE_PVM_FIRMWARE_INSTANCE_IMAGE_CHANGED = 10,
  AVIRTUAL_MACHINE_HANGUP = 11 /* no progress within the time given */
};

/* A configuration without kernel and name. Never null: it aborts when there is no memory. */
AVirtualMachineRawConfig* AVirtualMachineRawConfig_create(void);
/* Null is allowed. Not for one that AVirtualMachine_createRaw() has taken. */
void AVirtualMachineRawConfig_destroy(AVirtualMachineRawConfig* config);

/* -EINVAL if `name` is not UTF-8, or is no name for a VM: 1 to 255 bytes, no '/' and control characters, neither "." nor "..". */
int AVirtualMachineRawConfig_setName(AVirtualMachineRawConfig* config, const char* name);
/* -EINVAL unless `instanceIdSize` is 64. */
int AVirtualMachineRawConfig_setInstanceId(AVirtualMachineRawConfig* config, const uint8_t* instanceId, size_t instanceIdSize);
/* An arm64 Linux Image, a readable and seekable file. */
void AVirtualMachineRawConfig_setKernel(AVirtualMachineRawConfig* config, int fd);
void AVirtualMachineRawConfig_setInitRd(AVirtualMachineRawConfig* config, int fd);
/* Disks have the order of these calls: the first is /dev/vda to Linux. */
void AVirtualMachineRawConfig_addDisk(AVirtualMachineRawConfig* config, int fd, bool writable);
/* MiB of memory; 0 or less: 256. */
void AVirtualMachineRawConfig_setMemoryMiB(AVirtualMachineRawConfig* config, int32_t memoryMiB);
/* MiB that a protected VM gets on top for what it shares with the host; 0 or less: none. */
void AVirtualMachineRawConfig_setSwiotlbMiB(AVirtualMachineRawConfig* config, int32_t swiotlbMiB);
/* 1 unless it is called. */
void AVirtualMachineRawConfig_setVCpuCount(AVirtualMachineRawConfig* config, int32_t n);
/* Whether the host's kernel is kept from reading the guest's memory; AVirtualMachine_start() fails where that cannot be had. */
void AVirtualMachineRawConfig_setProtectedVm(AVirtualMachineRawConfig* config, bool protectedVm);
/* -ENOTSUP: no hypervisor of ours has one. */
int AVirtualMachineRawConfig_setHypervisorSpecificAuthMethod(AVirtualMachineRawConfig* config, bool enable);
/* -ENOTSUP: guest memory is the monitor's own. */
int AVirtualMachineRawConfig_addCustomMemoryBackingFile(AVirtualMachineRawConfig* config, int fd, uint64_t rangeStart,
                                                        uint64_t rangeEnd);

/*
 * Connects to the user's virtualization service, which is started if it does not run. `early` has no meaning here. -ECONNREFUSED
 * if it does not answer, -ENOENT if it is not installed.
 */
int AVirtualizationService_create(AVirtualizationService** service, bool early);
/* Null is allowed. Its VMs stay usable. */
void AVirtualizationService_destroy(AVirtualizationService* service);

/*
 * A VM, not started. The configuration is used up, also on failure. The descriptors, or -1: where the console's output and the
 * log go, and where the console's input comes from. -EIO if there is no kernel.
 */
int AVirtualMachine_createRaw(const AVirtualizationService* service, AVirtualMachineRawConfig* config, int consoleOutFd,
                              int consoleInFd, int logFd, AVirtualMachine** vm);
/* Returns when its CPUs may run. A VM that has stopped may be started again. -EIO; AdytonVirtualMachine_getError() says why. */
int AVirtualMachine_start(AVirtualMachine* vm);
/* Returns when it is gone. -EIO if it does not run. */
int AVirtualMachine_stop(AVirtualMachine* vm);
/* A connected stream to a vsock port that the guest listens on, the caller's to close; or -EIO. */
int AVirtualMachine_connectVsock(AVirtualMachine* vm, uint32_t port);
/* Waits, without limit if `timeout` is null. True: it has stopped, and why is in `reason` (which may be null). */
bool AVirtualMachine_waitForStop(AVirtualMachine* vm, const struct timespec* timeout, enum AVirtualMachineStopReason* reason);
/* Stops it if it runs. Null is allowed. */
void AVirtualMachine_destroy(AVirtualMachine* vm);

/* ---- Adyton ---------------------------------------------------------------------------------------------------------- */

/* The same levels and numbers as adyton::IsolationLevel. */
enum AdytonIsolation {
  ADYTON_ISOLATION_NONE = 0,      /* the host may look into the guest */
  ADYTON_ISOLATION_PROCESS = 1,   /* other processes and debuggers cannot; the host's kernel is trusted */
  ADYTON_ISOLATION_HYPERVISOR = 2 /* nor can the host's kernel */
};

/* Whether the machine can give a level. False: one sentence why not is written to `reason` (cut to `reasonSize`, always
 * terminated; may be null with 0). */
bool AdytonVirtualizationService_isIsolationAvailable(const AVirtualizationService* service, enum AdytonIsolation level,
                                                      char* reason, size_t reasonSize);

/* What a VM with a payload is made of. See adyton::VirtualMachineConfig::Builder; strings are copied. */
typedef struct AdytonAppConfig AdytonAppConfig;

AdytonAppConfig* AdytonAppConfig_create(void);
void AdytonAppConfig_destroy(AdytonAppConfig* config);
void AdytonAppConfig_setName(AdytonAppConfig* config, const char* name);
/* An AArch64 ELF program, or a directory with a root file system. */
void AdytonAppConfig_setPayload(AdytonAppConfig* config, const char* path);
/* What follows argv[0]. */
void AdytonAppConfig_addArgument(AdytonAppConfig* config, const char* argument);
void AdytonAppConfig_addEnvironment(AdytonAppConfig* config, const char* name, const char* value);
void AdytonAppConfig_addMount(AdytonAppConfig* config, const char* source, const char* target, bool readOnly);
void AdytonAppConfig_setMemoryBytes(AdytonAppConfig* config, uint64_t bytes);
void AdytonAppConfig_setVCpuCount(AdytonAppConfig* config, uint32_t n);
/* The suite of Debian that the guest's kernel comes from ("trixie"); not called, or "": $ADYTON_DEBIAN_SUITE, or else "bookworm".
 * AdytonVirtualMachine_createApp() refuses what cannot be a suite's name; AVirtualMachine_start() fails for one that Debian has not.
 * Since ADYTON_0.1. */
void AdytonAppConfig_setKernelSuite(AdytonAppConfig* config, const char* suite);
/* Must be called: a program says which isolation it relies on. */
void AdytonAppConfig_setIsolation(AdytonAppConfig* config, enum AdytonIsolation level);

/*
 * As AVirtualMachine_createRaw(), for a payload. What the payload writes goes to `logFd`. -EINVAL: the configuration is refused,
 * and `error` (which may be null with 0) says why.
 */
int AdytonVirtualMachine_createApp(const AVirtualizationService* service, AdytonAppConfig* config, int consoleOutFd,
                                   int consoleInFd, int logFd, AVirtualMachine** vm, char* error, size_t errorSize);
/* 128 + N after signal N; 125, 126 or 127 if it could not be executed; -1: it has not ended. */
int AdytonVirtualMachine_getPayloadExitCode(AVirtualMachine* vm);

/*
 * The files that make up the identity of a VM with a record ("adyton create", adyton::VirtualMachineManager::create()), open, to be given
 * to another program of the same user: adyton::VirtualMachine::Descriptor. All that concerns it: since ADYTON_0.2.
 */
typedef struct AdytonVirtualMachineDescriptor AdytonVirtualMachineDescriptor;

/* The descriptor of the VM `name`, which must not run. -ENOENT: there is no such VM; -EIO otherwise; `error` (which may be null with 0)
 * says why. */
int AdytonVirtualizationService_exportVm(const AVirtualizationService* service, const char* name,
                                         AdytonVirtualMachineDescriptor** descriptor, char* error, size_t errorSize);
/* A VM with copies of the descriptor's files, and so with the same identity, and with a record of its own; not started. The descriptor is
 * used up, also on failure. -EIO, and `error` says why. */
int AdytonVirtualizationService_importVm(const AVirtualizationService* service, const char* name,
                                         AdytonVirtualMachineDescriptor* descriptor, AVirtualMachine** vm, char* error,
                                         size_t errorSize);
/* Through a connected Unix socket (stream or seqpacket), which stays the caller's. Blocks as the socket does. -EINVAL: there is nothing in
 * the descriptor; -EIO: it cannot be sent. It may be sent again. */
int AdytonVirtualMachineDescriptor_sendTo(const AdytonVirtualMachineDescriptor* descriptor, int socket);
/* The other end. -EPIPE: the sender has gone; -EBADMSG: what came is none; -EMFILE: this program has too many open files; -EIO. */
int AdytonVirtualMachineDescriptor_receiveFrom(int socket, AdytonVirtualMachineDescriptor** descriptor);
/* Null is allowed. Not for one that has been imported. */
void AdytonVirtualMachineDescriptor_destroy(AdytonVirtualMachineDescriptor* descriptor);

/* A sentence for the last failure of this VM's functions, or an empty string. Valid until the next call with this VM. */
const char* AdytonVirtualMachine_getError(AVirtualMachine* vm);

#ifdef __cplusplus
}
#endif
