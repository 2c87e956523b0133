"""Nova's libvirt driver, bent in two places for one small machine.

Nova loads drivers from ``nova.virt`` alone, so the installation copies this file there.
"""

from nova.virt.libvirt import config, driver, vif


class VIFDriver(vif.LibvirtGenericVIFDriver):
    """Leaves it to libvirt to make tap devices."""

    def plug_tap(self, instance, vif):
        pass


class LibvirtDriver(driver.LibvirtDriver):
    """The driver that nova-compute of both clouds runs with."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not hasattr(config.LibvirtConfigGuestInterface(), "managed"):
            # Zed's Nova makes the tap device beforehand, which libvirt 9 and newer refuse.
            self.vif_driver = VIFDriver(self._host)

    def update_provider_tree(self, provider_tree, nodename, allocations=None):
        super().update_provider_tree(provider_tree, nodename, allocations=allocations)
        inventory = provider_tree.data(nodename).inventory
        # One guest may have more virtual processors than the machine has.
        inventory["VCPU"].update(total=64, max_unit=64)
        provider_tree.update_inventory(nodename, inventory)
