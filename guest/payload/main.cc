// For payloads that define AVmPayload_main() and no main(): the linker takes this file from the archive then, and only then.
#include "guest/payload/include/vm_main.h"

int main() { return AVmPayload_main(); }
