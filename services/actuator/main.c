#include "actuator/actuator.h"

int main(int argc, char **argv)
{
    return service_main(argc, argv, &actuator_ops);
}
