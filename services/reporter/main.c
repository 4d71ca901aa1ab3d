#include "reporter/reporter.h"

int main(int argc, char **argv)
{
    return service_main(argc, argv, &reporter_ops);
}
