/* Two programs in C that hand a virtual machine over: what sdk/c/virtualization_test.cc runs. */
#include <adyton/virtualization.h>
#include <stdio.h>

int send_vm(const AVirtualizationService* service, const char* name, int socket) {
  char error[256];
  AdytonVirtualMachineDescriptor* descriptor = NULL;
  int status = AdytonVirtualizationService_exportVm(service, name, &descriptor, error, sizeof(error));
  if (status != 0) {
    fprintf(stderr, "%s\n", error);
    return status;
  }
  status = AdytonVirtualMachineDescriptor_sendTo(descriptor, socket);
  AdytonVirtualMachineDescriptor_destroy(descriptor);
  return status;
}

int receive_vm(const AVirtualizationService* service, const char* name, int socket, AVirtualMachine** vm) {
  AdytonVirtualMachineDescriptor* descriptor = NULL;
  const int status = AdytonVirtualMachineDescriptor_receiveFrom(socket, &descriptor);
  return status != 0 ? status : AdytonVirtualizationService_importVm(service, name, descriptor, vm, NULL, 0);
}
