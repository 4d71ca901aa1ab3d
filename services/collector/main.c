#include "collector/collector.h"

int main(int argc, char **argv)
{
    return service_main(argc, argv, &collector_ops);
}
